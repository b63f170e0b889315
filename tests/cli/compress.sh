#!/bin/sh
# aecompress and aedecompress: compress.sh LIB AECOMPRESS AEDECOMPRESS SAMPLES READER
de=$(realpath "$3") samples=$(realpath "$4") reader=$(realpath "$5")
. "$1"
export LC_ALL=C

# picture FILE WIDTH HEIGHT SEED: a binary PPM with a pattern and noise
picture()
{
    { printf 'P6\n%d %d\n255\n' $2 $3; awk -v w=$2 -v h=$3 -v s=$4 'BEGIN { srand(s); for (i = 0; i < w * h * 3; i++)
        printf "%c", 60 + int(i / (3 * w)) % 50 + int(20 * rand()) }'; } >"$1"
}

picture a.ppm 90 70 1; picture b.ppm 40 24 2; picture wide.ppm 1100 3 3
run 0 $tool --lossless --verify a.ppm; present a.aec; silent
run 0 $de -o back.ppm a.aec; same a.ppm back.ppm
run 0 $de -t a.aec; prints "1 items, all well"
run 0 $de -l a.aec; prints "90 x 70 x 3, 8 bit  lossless     a.ppm"
run 0 $de a.aec; [ "$(head -c 4 a.png | tail -c 3)" = PNG ] || fail "no PNG by default"
$tool --lossless <a.ppm | $de --format ppm | cmp - a.ppm || fail "pipes"
run 1 $tool --lossless a.ppm; says "a.aec exists"
for threads in 1 2 3; do run 0 $tool --lossless -j $threads -f -o t$threads.aec wide.ppm; same t1.aec t$threads.aec; done

# quality: bytes do not fall and PSNR rises at every step to 100, which is lossless; a photograph takes any size
cp "$samples/guitar.png" g.png
last=0 worse=0
for q in 60 85 86 88 90 91 93 97 98 99 100; do
    run 0 $tool -q $q -f -o q.aec --verify --json g.png
    bytes=$(sed 's/.*"bytes": \([0-9]*\).*/\1/' out) psnr=$(sed 's/.*"psnr": \([0-9a-z.]*\).*/\1/' out)
    [ "$bytes" -ge "$last" ] || fail "-q $q: $bytes bytes, less than $last"
    [ "$psnr" = null ] || awk "BEGIN { exit !($psnr > $worse) }" || fail "-q $q: $psnr dB, not more than $worse"
    last=$bytes worse=$psnr
done
run 0 $tool -q 100 -f -o q.aec a.ppm; run 0 $de -f -o back.ppm q.aec; same a.ppm back.ppm
for percent in 15 25 40 55; do
    run 0 $tool --target-size $percent% -f -o q.aec g.png
    bytes=$(wc -c <q.aec) most=$(($(wc -c <g.png) * percent / 100))
    [ "$bytes" -le $most ] && [ "$bytes" -ge $((most * 97 / 100)) ] || fail "--target-size $percent%: $bytes of $most"
done
run 0 $tool --near-lossless 0 -f -o q.aec a.ppm; run 0 $de -f -o back.ppm q.aec; same a.ppm back.ppm
for e in 1 5 6; do run 0 $tool -e $e --target-size 2k -f -o q.aec a.ppm; [ "$(wc -c <q.aec)" -le 2048 ] || fail "-e $e --target-size 2k: $(wc -c <q.aec)"; done
AE_MODEL_PATH=/nonexistent XDG_DATA_HOME=/nonexistent run 1 $tool -m no-such-codec -q 50 a.ppm -o no.aec; says "codec"; absent no.aec
run 2 $tool --lossless --near-lossless 2 a.ppm; says "exclude each other"
run 2 $tool --metadata icc,nonsense a.ppm; says "--metadata"
run 2 $tool --append a.ppm; says "--archive"

# targets; without a codec the error's bound is what varies
export AE_MODEL_PATH=/nonexistent XDG_DATA_HOME=/nonexistent
for size in 5000 6k; do
    run 0 $tool --target-size $size -f -o q.aec --verify a.ppm; bytes=$(wc -c <q.aec)
    [ "$bytes" -le $((${size%k} * (${size%k} < 100 ? 1024 : 1))) ] && [ "$bytes" -ge 4000 ] || fail "--target-size $size: $bytes"
done
run 0 $tool --target-size 30% -f -o q.aec a.ppm; [ "$(wc -c <q.aec)" -le $(($(wc -c <a.ppm) * 3 / 10)) ] || fail "--target-size 30%"
run 0 $tool --target-psnr 45 -f -o q.aec --json a.ppm; grep -q '"psnr": 4[5-7]' out || fail "--target-psnr 45: $(cat out)"
run 0 $tool --near-lossless 9 -f -o q.aec --json "$samples/guitar.png"; grep -q '"ms_ssim": 0\.9' out || fail "MS-SSIM: $(cat out)"
run 1 $tool --target-size 100 -f -o no.aec a.ppm; says "no quality makes it as small"; absent no.aec
run 2 $tool --target-size x a.ppm; says "--target-size"

# metadata and formats
cp "$samples/reeds.jpg" .; cp "$samples/dog.png" .
run 0 $tool --lossless reeds.jpg dog.png
run 0 $de -o reeds.png reeds.aec; run 0 $tool --lossless -f -o again.aec reeds.png
run 0 $de -o one.tif reeds.aec; run 0 $de -o two.tif again.aec; same one.tif two.tif
python3 - <<'END' || fail "python3"
import struct, zlib
b = open('dog.png', 'rb').read()
def chunk(kind, body):
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
exif = b'II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0'
open('meta.png', 'wb').write(b[:33] + chunk(b'tEXt', b'Author\0somebody') + chunk(b'eXIf', exif) + b[33:])
END
run 0 $tool --lossless meta.png; run 0 $de -o meta2.png meta.aec; grep -q somebody meta2.png || fail "a text is lost"
grep -q eXIf meta2.png || fail "EXIF is lost"
run 0 $tool --lossless --metadata exif -o exif.aec meta.png; run 0 $de -o exif.png exif.aec
grep -q somebody exif.png && fail "--metadata exif keeps texts"; grep -q eXIf exif.png || fail "--metadata exif loses EXIF"
run 0 $tool --lossless --metadata none -o bare.aec meta.png; run 0 $de -o bare.png bare.aec; grep -q eXIf bare.png && fail "--metadata none keeps some"

# parts
run 0 $de --region 5,6,20,10 -o r.ppm a.aec; head -c 9 r.ppm | grep -q '^20 10$' || fail "region: $(head -c 9 r.ppm)"
tail -c +14 a.ppm | tail -c +$((6 * 270 + 15 + 1)) | head -c 60 >want; tail -c +14 r.ppm | head -c 60 >got; same want got
run 0 $de --preview -o p.ppm a.aec; head -c 9 p.ppm | grep -q '^12 9$' || fail "preview: $(head -c 9 p.ppm)"
run 1 $de --region 80,0,20,10 -o no.ppm a.aec; says "outside the picture"; absent no.ppm
run 2 $de --region 1,2,3 a.aec; says "--region"

# archives
mkdir -p set/x set/y; cp a.ppm set/x/; cp b.ppm set/y/
i=0; while [ $i -lt 40 ]; do picture set/tiny$i.ppm 6 5 $i; i=$((i + 1)); done
run 0 $tool --lossless --archive s.aec -r set --verify -v -j 1; says "42 items added"
printf 'P6\n9 9\n255\nshort' >set/tiny5x.ppm # what cannot be read leaves no trace, whatever the order of work
for jobs in 1 2 5; do run 1 $tool --lossless --archive jobs$jobs.aec -r set -j $jobs; says "tiny5x.ppm"; same s.aec jobs$jobs.aec; done
rm set/tiny5x.ppm
run 0 $de -l s.aec; [ "$(wc -l <out)" -eq 42 ] || fail "list: $(cat out)"
run 0 $de --format ppm -o all s.aec; for f in x/a y/b tiny0 tiny39; do same set/$f.ppm all/$f.ppm; done
for jobs in 1 3; do run 0 $de --format ppm -j $jobs -o jobs$jobs s.aec; diff -r all jobs$jobs >&2 || fail "-j $jobs"; done
run 0 $de -i 'x/*' --format ppm -o some/ s.aec; same a.ppm some/x/a.ppm; absent some/y
run 0 $de -i tiny7.ppm -o t7.ppm s.aec; same set/tiny7.ppm t7.ppm
run 1 $de -i nothing s.aec; says "no item"
run 1 $de -i tiny3.ppm -l a.aec; says "no item"
run 0 $tool --lossless --archive s.aec --append b.ppm; run 0 $de -i b.ppm -o t.ppm s.aec; same b.ppm t.ppm
run 1 $tool --lossless --archive s.aec --append b.ppm wide.ppm; says "an item b.ppm already"
run 0 $de -t s.aec; prints "44 items"
printf 'P6\n9 9\n255\nshort' >short.ppm
run 1 $tool --lossless --archive s.aec --append short.ppm reeds.jpg; says "short.ppm"; run 0 $de -t s.aec; prints "45 items"
head -c 100000 reeds.jpg >half.jpg
run 1 $tool --lossless --archive s.aec --append half.jpg a.ppm; says "half.jpg"; run 0 $de -t s.aec; prints "46 items"
run 1 $tool --lossless --archive s.aec b.ppm; says "exists"
run 1 $tool --lossless --archive plain.ppm --append a.ppm missing.ppm; run 0 $de -t plain.ppm
run 1 $tool --lossless --archive a.ppm --append b.ppm; says "no .aec file"
run 0 $tool --lossless --dry-run --archive no.aec b.ppm; prints "b.ppm -> no.aec: b.ppm"; absent no.aec

# the pictures of an IDX file
python3 - <<'END' || fail "python3"
import gzip, struct
body = bytes((i * i // 7 + i % 11) % 256 for i in range(300 * 30 * 20))
gzip.open('some-images-idx3-ubyte.gz', 'wb').write(struct.pack('>IIII', 2051, 300, 30, 20) + body)
open('plain.idx', 'wb').write(struct.pack('>IIIII', 2052, 12, 10, 20, 3) + body[:7200])
open('labels-idx1-ubyte', 'wb').write(struct.pack('>II', 2049, 300) + bytes(300))
open('cut-idx3-ubyte', 'wb').write(struct.pack('>IIII', 2051, 300, 30, 20) + body[:-1])
open('want', 'wb').write(b'P5\n20 30\n255\n' + body[123 * 600:124 * 600])
open('want3', 'wb').write(b'P6\n20 10\n255\n' + body[6600:7200])
END
for jobs in 1 4; do run 0 $tool --archive idx$jobs.aec -j $jobs some-images-idx3-ubyte.gz a.ppm plain.idx -q 100; done; same idx1.aec idx4.aec
run 0 $de -l idx1.aec; [ "$(wc -l <out)" -eq 313 ] || fail "IDX: $(tail -2 out)"
run 0 $de -i some-images/123 -o t.pgm idx1.aec; same want t.pgm; run 0 $de -i plain/11 -f -o t.ppm idx1.aec; same want3 t.ppm
run 0 $de --format pgm -i 'some-images/*' -o idx idx1.aec; same want idx/some-images/123.pgm; absent idx/a.pgm
run 1 $tool --lossless --archive idx1.aec --append some-images-idx3-ubyte.gz; says "an item some-images/299 already"
run 0 $tool --lossless --archive idx1.aec --append --skip-existing some-images-idx3-ubyte.gz b.ppm; run 0 $de -t idx1.aec; prints "314 items"
run 1 $tool --archive no.aec labels-idx1-ubyte cut-idx3-ubyte a.ppm -q 100; says "truncated"
run 0 $de -t no.aec; run 0 $tool --dry-run --archive no2.aec plain.idx; prints "plain/..."

# an append that breaks off, a full disk, an interrupt
cp s.aec broken.aec; head -c 5000 wide.ppm >>broken.aec
run 1 $de -t broken.aec; says "an append broke off"; run 0 $de -i x/a.ppm -f -o t.ppm s.aec; same a.ppm t.ppm
run 1 $de -i x/a.ppm -f -o t.ppm broken.aec; same a.ppm t.ppm
run 0 $tool --lossless --archive broken.aec --append dog.png; run 0 $de -t broken.aec; prints "47 items"
cp s.aec full.aec
(ulimit -f 1; trap '' XFSZ; $tool --lossless --archive small.aec reeds.jpg) 2>err && fail "a full disk is not seen"; absent small.aec
blocks=$(($(wc -c <full.aec) / 512 + 2))
(ulimit -f $blocks; trap '' XFSZ; $tool --lossless --archive full.aec --append dog.png) 2>err && fail "a full disk is not seen"; same s.aec full.aec
ls -A | grep -q '\.tmp$' && fail "temporary files are left"

# damage: reported, the rest exact; repair
python3 - <<'END' || fail "python3"
b = bytearray(open('t1.aec', 'rb').read())
second = b.find(b'\xe5\xa3\xcbT', b.find(b'\xe5\xa3\xcbT') + 1)
b[second + 40] ^= 1
open('bad.aec', 'wb').write(b)
END
run 1 $de -t bad.aec; says "tile at 512,0 of 512x3"
run 1 $de -o bad.ppm bad.aec; says "tile at 512,0 of 512x3 is lost"
for row in 0 1 2; do
    for at in 0 3072; do
        tail -c +$((14 + row * 3300 + at + 1)) wide.ppm | head -c $((at ? 228 : 1536)) >want
        tail -c +$((14 + row * 3300 + at + 1)) bad.ppm | head -c $((at ? 228 : 1536)) >got
        same want got
    done
done
run 0 $de --repair -o good.aec bad.aec; says "1 tiles lost"; run 1 $de -t good.aec; says "missing"
head -c $(($(wc -c <s.aec) - 100)) s.aec >cut.aec
run 1 $de --format ppm -o cut cut.aec; says "it is cut off at byte $(wc -c <cut.aec) of at least"; same a.ppm cut/x/a.ppm; same set/tiny3.ppm cut/tiny3.ppm
run 0 $de --repair -o whole.aec cut.aec; run 0 $de -t whole.aec
run 1 $de -t a.ppm; says "no .aec file"
printf '' >empty.aec; run 1 $de empty.aec; absent empty.png

# a name that leads out of the directory
python3 - <<'END' || fail "python3"
import struct
def crc(d):
    c = 0xffffffff
    for x in d:
        c ^= x
        for _ in range(8):
            c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    return c ^ 0xffffffff
b = open('a.aec', 'rb').read()
out, at = b[:16], 16
while at < len(b) - 16: # without index: found by scanning
    n = struct.unpack('<I', b[at + 4:at + 8])[0]
    kind, body = b[at + 3:at + 4], b[at + 12:at + 12 + n].replace(b'a.ppm', b'../../evil.ppm')
    if kind != b'I':
        head = b[at:at + 4] + struct.pack('<I', len(body))
        out += head + struct.pack('<I', crc(head)) + body + struct.pack('<I', crc(body))
    at += 16 + n
open('evil.aec', 'wb').write(out + out[16:])
END
run 1 $de --format ppm -o deep/deeper/ evil.aec; says "lead out"; absent evil.ppm deep/evil.ppm

# files of every version open for ever
for f in "$(dirname "$reader")"/golden/*.aec; do
    run 0 $de -t "$f"; prints "all well"; run 0 python3 "$reader" "$f"
done
run 0 $de --format pgm -o g.pgm "$(dirname "$reader")/golden/version1-plain.aec"
printf 'P5\n2 1\n255\n\012\024' >want; same want g.pgm

# what the second reader finds
for f in a.aec s.aec reeds.aec t1.aec; do run 0 python3 "$reader" $f; done
run 1 python3 "$reader" bad.aec; run 1 python3 "$reader" cut.aec
$tool --help >/dev/full 2>err && fail "half a help is well"; says "standard output cannot be written" # long: what failed was printed before the end
mkdir tree; cp meta.png tree; run 2 $tool --lossless -r tree -o tree.aec; says "tree.aec is not a directory"; says "--archive"; absent tree.aec
# names that would meet: nothing is lost, neither apart nor in an archive
mkdir meet; cp a.ppm meet/x.ppm; cp g.png meet/x.png; cp b.ppm meet/y.ppm
run 0 $tool --lossless -o apart/ meet/x.ppm meet/x.png meet/y.ppm; present apart/x.ppm.aec apart/x.png.aec apart/y.aec
run 0 $tool --lossless --archive meet.aec -r meet; run 0 $de -o met meet.aec; present met/x.ppm.png met/x.png met/y.png
run 2 $tool --lossless -f --archive meet/x.ppm meet/x.ppm; says "--archive: meet/x.ppm is an input"; same a.ppm meet/x.ppm
run 2 $tool --lossless --archive new.aec --json=meet/x.ppm -r meet; says "is an input"; same a.ppm meet/x.ppm; absent new.aec
run 1 $tool --lossless --archive new.aec meet; says "is a directory (-r"; absent new.aec
# extraction stays below the directory named, whatever links lie there, and hostile names are escaped
mkdir -p evil/sub outside; cp a.ppm evil/sub/x.ppm; cp b.ppm evil/top.ppm
run 0 $tool --lossless --archive below.aec -r evil
mkdir into; ln -s ../outside into/sub; ln -s ../outside/top.png into/top.png
run 1 $de -f -o into below.aec; says "a link to one (--keep-links"; says "no regular file"; absent outside/x.png outside/top.png
run 0 $de -f --keep-links -o into below.aec; present outside/x.png
name=$(printf 'a\342\200\256b.ppm'); mkdir ctl; cp a.ppm "ctl/$name"; cp b.ppm ctl/b.ppm
run 0 $tool --lossless --archive ctl.aec -r ctl; run 0 $de -l ctl.aec; prints 'a\u202eb.ppm'
run 1 $de -o ctlout ctl.aec; says 'a\u202eb.ppm: this name holds control characters'; present ctlout/b.png
run 0 $de --raw-names -f -o ctlout ctl.aec; present "ctlout/${name%.ppm}.png"

# modes: nobody reads an output who could not read its input; leftovers of killed runs go
cp a.ppm secret.ppm; chmod 600 secret.ppm; touch -d '2001-02-03' secret.ppm
run 0 $tool --lossless secret.ppm; [ "$(stat -c %a secret.aec)" = 600 ] || fail "mode $(stat -c %a secret.aec)"
run 0 $tool --lossless -f --preserve secret.ppm; [ "$(stat -c %Y secret.aec)" = "$(stat -c %Y secret.ppm)" ] || fail "--preserve"
: >.ae-1-1.tmp; : >.ae-note.tmp; (exec 9>.ae-2-2.tmp; flock 9; run 0 $tool --lossless -f a.ppm; [ -e .ae-2-2.tmp ] || fail "a live file was removed")
absent .ae-1-1.tmp; [ -e .ae-note.tmp ] || fail "somebody else's file was removed"
finish
