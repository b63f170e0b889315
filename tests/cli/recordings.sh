#!/bin/sh
# Sounds in .aec files: recordings.sh LIB AECOMPRESS AEDECOMPRESS SOUNDTOOL READER
de=$(realpath "$3") sound=$(realpath "$4") reader=$(realpath "$5")
. "$1"
export LC_ALL=C AE_MODEL_PATH=/nonexistent XDG_DATA_HOME=/nonexistent # no codec is needed

# every type and count of channels comes back as the file that it was: samples, tags, layout
for type in s8 s16 s24 s32 f32 f64; do
    for channels in 1 2 6; do
        $sound make wav $type 44100 $channels 3011 noise $type-$channels.wav || fail make
        run 0 $tool --verify --lossless $type-$channels.wav; silent
        run 0 $de -o back.wav -f $type-$channels.aec; silent; same $type-$channels.wav back.wav
    done
done
run 0 python3 "$reader" ./*.aec; prints "3011 frames, 44100 Hz x 6, 24 bit, within 0: s24-6.wav"
run 0 $de -l s24-6.aec; prints "0:00.07, 44100 Hz x 6, 24 bit  lossless     s24-6.wav"
run 0 $de -l --json f32-1.aec; prints '"rate": 44100'; prints '"kbps": '
run 0 $de -t s16-2.aec; prints "1 items, all well"
for kind in silence dc loud nan; do
    $sound make wav f32 16000 2 5000 $kind $kind.wav && run 0 $tool --lossless $kind.wav && run 0 $de -f -o back.wav $kind.aec && same $kind.wav back.wav
done

# what was written once opens for ever, to the same samples
for f in "$(dirname "$reader")"/golden/version1-sound*.aec; do run 0 $de -t "$f"; prints "1 items, all well"; run 0 python3 "$reader" "$f"; done

# where nothing is named: by spectra, to FLAC, or WAV where that does not hold it
run 0 $tool -f s16-2.wav; run 0 $de -l s16-2.aec; prints "quality 60"; run 0 $de -t s16-2.aec; prints "1 items, all well"
run 0 python3 "$reader" s16-2.aec; prints "16 bit, quality 6000"
run 0 $de s16-2.aec; [ "$(head -c 4 s16-2.flac)" = fLaC ] || fail "no FLAC by default"
rm f32-1.wav; run 0 $de -f f32-1.aec; present f32-1.wav
run 2 $tool --target-bpp 1 --lossless s16-2.wav
run 1 $tool --target-bpp 1 -f s16-2.wav; says "for sounds"
run 2 $tool --target-bitrate 10 --lossless s16-2.wav
run 1 $tool --near-lossless 2 -f f32-2.wav; says "whole numbers"

# pipes, threads, no length beforehand
$sound make wav s16 8000 2 66000 noise long.wav
run 0 $tool --lossless -j 1 -o one.aec long.wav; run 0 $tool --lossless -j 3 -o three.aec long.wav; same one.aec three.aec
$tool --lossless <long.wav | $de --format wav | cmp - long.wav || fail pipes

# a part: seconds, frames, to the end; only what there is
run 0 $de --range 2.5-4 -o part.wav one.aec; $sound show part.wav | grep -q " 12000 " || fail "part: $($sound show part.wav)"
run 0 $de --range 20000f-32000f -o frames.wav one.aec; same part.wav frames.wav
tail -c +$((44 + 4 * 20000 + 1)) long.wav | head -c $((4 * 12000)) >want
tail -c +45 part.wav | head -c $((4 * 12000)) | cmp - want || fail "the part is another"
run 0 $de --range 8- -f -o part.wav one.aec; $sound show part.wav | grep -q " 2000 " || fail "to the end"
run 1 $de --range 9-10 -f -o part.wav one.aec; says "which has 8.25 s"
for range in 3-2 x 5 - 1f-2 -0; do run 2 $de --range=$range -o no.wav one.aec; says "--range"; done; absent no.wav

# a waveform: of all or of a part, of both channels
run 0 $de --preview -o wave.png one.aec; run 0 $de --preview --range 2-4 -o wave.pgm one.aec
[ "$(head -c 15 wave.pgm | tr '\n' ' ')" = "P5 1024 256 255" ] || fail "the waveform: $(head -c 15 wave.pgm)"
tail -c $((1024 * 256)) wave.pgm | od -An -v -tu1 -w1024 | awk '{ for (i = 1; i <= NF; i++) n += $i == 48 } END { exit n < 1024 * 20 || n > 1024 * 250 }' || fail "no waveform"
$sound make wav s16 8000 1 16000 silence quiet.wav; run 0 $tool -f quiet.wav; run 0 $de --preview -f -o wave.pgm quiet.aec
[ "$(tail -c $((1024 * 128)) wave.pgm | od -An -v -tu1 -w1024 | grep -c ' 48 ')" = 1 ] || fail "silence is not a line"

# within an error
run 0 $tool --near-lossless 20 --verify -f -o near.aec long.wav; run 0 $de -l near.aec; prints "within 20"
[ "$(wc -c <near.aec)" -lt $(($(wc -c <one.aec) * 3 / 4)) ] || fail "near-lossless: $(wc -c <near.aec)"

# archives: pictures and sounds side by side, appended to, taken apart
printf 'P5 3 2 255 abcdef' >p.pgm; mkdir tree; cp s16-1.wav tree/a.wav; cp s24-2.wav p.pgm tree/
run 0 $tool --lossless --archive set.aec --verify -r tree; run 0 $tool --lossless --append --archive set.aec long.wav
run 0 python3 "$reader" set.aec; prints "66000 frames"; prints "3 x 2 x 1"
run 0 $de -o items/ set.aec; present items/a.flac items/s24-2.flac items/p.png items/long.flac
run 0 $de -i long.wav --format wav -f -o back.wav set.aec; same back.wav long.wav
run 0 $de -i long.wav set.aec; [ "$(head -c 4 set.flac)" = fLaC ] || fail "an item of an archive is no FLAC"
run 0 $tool --json -q 60 -f -o j.aec long.wav; grep -q '"snr": [1-4][0-9].*"mel_distance": [0-9]' out || fail "json: $(cat out)"
run 0 $tool --json --lossless --archive k.aec long.wav; prints '"duration": 8.25'; prints '"kbps": '

# by spectra: rates and sizes are met; the same samples by any number of threads, from pipes and in parts; an item like others
$sound make wav s16 48000 2 288000 noise music.wav || fail make
for rate in 24 64; do
    run 0 $tool --target-bitrate $rate --verify -f -o music.aec music.wav
    size=$(wc -c <music.aec); [ $((size * 8)) -le $((rate * 6000)) ] && [ $((size * 8 * 100)) -ge $((rate * 6000 * 97)) ] || fail "$rate kbit/s: $size"
done
run 0 $tool --target-size 60k -f -o music.aec music.wav; size=$(wc -c <music.aec); [ "$size" -le 61440 ] && [ "$size" -ge 59600 ] || fail "size: $size"
printf 'P5 3 2 255 abcdef' >r.pgm; run 1 $tool --target-bitrate 24 r.pgm; says "for sounds"
run 0 $tool -q 70 -j 1 -f -o one.aec music.wav; run 0 $tool -q 70 -j 3 -f -o music.aec music.wav; same one.aec music.aec
$tool -q 70 <music.wav | $de --format wav >piped.wav || fail pipes
run 0 $de -j 1 -f -o back.wav one.aec; run 0 $de -j 3 -f -o three.wav one.aec; same back.wav three.wav; tail -c +45 piped.wav >a; tail -c +45 back.wav >b; same a b
run 0 $de --range 2.5-4 -f -o part.wav one.aec; tail -c +$((44 + 4 * 120000 + 1)) back.wav | head -c $((4 * 72000)) >want; tail -c +45 part.wav | head -c $((4 * 72000)) | cmp - want || fail "the part is another"
run 0 $tool -q 50 --append --archive set.aec music.wav; run 0 $de -t set.aec; prints "all well"; run 0 python3 "$reader" set.aec; prints "quality 5000"
size=$(wc -c <one.aec); cp one.aec bad.aec; printf '\377\377' | dd of=bad.aec bs=1 seek=$((size * 3 / 4)) conv=notrunc 2>/dev/null
run 1 $de -f -o bad.wav bad.aec; says "0:04.10 to 0:05.46 is lost"
cmp -l back.wav bad.wav | awk -v a=$((44 + 4 * (3 * 65536 - 1024))) -v b=$((44 + 4 * (4 * 65536))) '$1 <= a || $1 > b { exit 1 }' || fail "more than a tile and a cell is lost"
run 0 $de --repair -o kept.aec bad.aec; says "1 tiles lost"

run 0 $tool --lossless -f -o one.aec long.wav

# damage costs a tile, told by its time; all else is exact; what is whole can be kept
size=$(wc -c <one.aec)
cp one.aec bad.aec; printf '\377' | dd of=bad.aec bs=1 seek=$((size * 11 / 20)) conv=notrunc 2>/dev/null
run 1 $de -f -o bad.wav bad.aec; says "0:04.10 to 0:05.12 is lost"
cmp -l long.wav bad.wav | awk -v a=$((44 + 4 * 4 * 8192)) -v b=$((44 + 4 * 5 * 8192)) '$1 <= a || $1 > b { exit 1 }' || fail "more than a tile is lost"
run 1 $de -t bad.aec; says "0:04.10 to 0:05.12"
run 0 $de --repair -o mended.aec bad.aec; says "1 tiles lost"
head -c $((size * 11 / 20)) one.aec >cut.aec
run 1 $de -f -o cut.wav cut.aec; says "is lost"; head -c $((44 + 4 * 4 * 8192)) cut.wav | tail -c +45 >a; head -c $((44 + 4 * 4 * 8192)) long.wav | tail -c +45 >b; same a b
finish
