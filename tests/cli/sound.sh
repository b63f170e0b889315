#!/bin/sh
# aedenoise on sounds made here, with a model of random weights: sound.sh LIB AEDENOISE MAKEMODEL SOUNDTOOL OTHER-TOOLS...
make=$(realpath "$3")
sound=$(realpath "$4")
superres=$(realpath "$5")
compress=$(realpath "$6")
. "$1"
export LC_ALL=C

sound_recipe tiny.yaml tiny "      - {op: conv, out: 8, kernel: [1, 5], act: relu}
      - {op: conv, out: 1, kernel: [1, 3], act: sigmoid}
      - {op: mul, from: [previous, image]}"
sound_recipe same.yaml same "      - {op: conv, kernel: 1, bias: false, init: identity}"
mkdir models
$make tiny.yaml models/voice.aem && $make same.yaml models/same.aem || fail "no model"
export AE_MODEL_PATH=$PWD/models

shown() { $sound show "$1" || fail "$1 cannot be read"; }

# every rate, count of channels and depth comes back, with tags
for rate in 8000 11025 16000 22050 32000 44100 48000 96000 192000; do
    for channels in 1 2 6; do
        for type in s8 s16 s24 f32; do
            $sound make wav $type $rate $channels 3001 noise $type-$rate-$channels.wav || fail "make"
        done
    done
done
run 0 $tool -o clean/ ./*.wav; silent
$sound show ./*.wav >before; $sound show clean/*.wav >after; same before after; [ "$(wc -l <after)" -eq 108 ] || fail "not 108 sounds"
for f in *.wav; do
    cmp -s $f clean/$f && fail "$f: nothing was done"
done
cp s16-16000-1.wav b.wav; rm ./*-*.wav; rm -r clean

# strength 0 and a network that does nothing give the recording back
run 0 $tool --strength 0 -o zero.wav b.wav; same b.wav zero.wav
$sound make flac s24 44100 2 30000 noise c.flac
run 0 $tool -v -m same c.flac; says "level"; says "SNR"; says "model same"
[ "$(shown c.flac)" = "$(shown c.denoised.flac)" ] || fail "flac: $(shown c.denoised.flac)"

# the same bytes for any number of threads, and through pipes
run 0 $tool -j 1 -o one.wav b.wav; run 0 $tool -j 3 -o three.wav b.wav; same one.wav three.wav
cat b.wav | $tool >piped.wav 2>err || fail "pipe: $(cat err)"; same one.wav piped.wav
run 0 $tool --max-attenuation 6 -o six.wav b.wav; cmp -s one.wav six.wav && fail "--max-attenuation has no effect"
run 0 $tool --profile 0-0.1 -o profile.wav b.wav; present profile.wav
run 1 $tool --profile 0.1-9 -o late.wav b.wav; says "the sound ends after 0.19 seconds"; absent late.wav
for bad in x 1 2-1 -1 1-62; do run 2 $tool --profile=$bad b.wav; says "--profile"; done

# raw samples: as a file, by a pipe, into a format that says more, and live
run 0 $tool --strength 0 --format s16le -o b.raw b.wav; run 0 $tool --format s16le -o one.raw b.wav; [ "$(wc -c <one.raw)" -eq 6002 ] || fail "raw output"
$tool --format s16le --rate 16000 <b.raw >raw 2>err || fail "raw: $(cat err)"; same one.raw raw
$tool --format s16le --rate 16000 -o - b.raw >raw 2>err || fail "raw: $(cat err)"; same one.raw raw
run 0 $tool --format s16le --rate 16000 -o raw.wav b.raw; tail -c +45 raw.wav >raw; same one.raw raw
$tool --live --strength 0 --format s16le --rate 16000 <b.raw >live 2>err || fail "live: $(cat err)"
says "latency"; says " ms"
late=$(sed -n 's/.*latency \([0-9]*\) frames.*/\1/p' err)
[ "$late" -le 640 ] || fail "a latency of $late frames"
tail -c +$((2 * late + 1)) live >raw; same b.raw raw
run 2 $tool --live b.wav; says "--live takes raw samples"
run 2 $tool --rate 48000 b.wav; says "--rate is for raw samples"
run 2 $tool --channels 2 b.wav; says "needs --rate"

# kinds: trees that hold both, and files that are of the wrong one
mkdir -p tree/deep; cp b.wav tree/deep; cp c.flac tree; printf 'P5\n20 20\n255\n' >tree/p.pgm; head -c 400 b.wav >>tree/p.pgm; echo text >tree/note.txt
cat >photo.yaml <<'END'
recipe: 1
name: photo
task: denoise
residual: true
networks:
  - name: net
    inputs: [{name: image, channels: 3}, {name: level, channels: 2}]
    layers: [{op: concat, from: [image, level]}, {op: conv, out: 3}]
END
$make photo.yaml models/photo.aem 0.1 || fail "no model"
run 0 $tool -r -o both tree; present both/deep/b.wav both/c.flac both/p.pgm; absent both/note.txt
run 0 $tool -r -f --format flac -o both tree; present both/deep/b.flac both/c.flac both/p.pgm
run 1 $tool -m photo -f b.wav; says "photo"
run 1 $tool -m voice -f tree/p.pgm; says "one of sounds"
run 1 $superres b.wav; says "is a sound (WAV), not a picture"
run 0 $compress --lossless b.wav
cp b.wav mis.png; run 1 $superres mis.png; says "is a sound"
run 0 $tool -v --spectrogram s.png -o s.wav c.flac 2>err; [ "$(head -c 4 s.png | tail -c 3)" = PNG ] || fail "no spectrogram"
run 1 $tool -f --spectrogram s2.png tree/p.pgm; says "--spectrogram is for sounds"; absent s2.png
run 1 $tool -f --compare s2.png b.wav; says "--compare is for pictures"
run 2 $tool --spectrogram s3.png b.wav c.flac; says "takes one input"
run 0 $tool --json -f b.wav; prints '"duration": 0.1875625, "frames": 3001, "rate": 16000, "channels": 1'; prints '"status": "done"'

# a container: the sound by its track, and out of it
run 0 $tool -o c.m4a c.flac; [ "$(shown c.m4a)" = "m4a f32 44100 Hz x 2, 30000 frames, layout 3, TITLE=A title, ARTIST=An artist" ] || fail "$(shown c.m4a)"
run 0 $tool -o c.denoised.m4a c.m4a; [ "$(shown c.m4a)" = "$(shown c.denoised.m4a)" ] || fail "$(shown c.denoised.m4a)"
run 0 $tool --track 1 -o c.wav c.m4a; run 1 $tool --track 2 -f -o c.wav c.m4a; says "there is no track 2: 1 sounds"

# sounds that are hardly any
for f in wav flac aiff caf au w64; do $sound make $f s16 48000 2 0 noise none.$f; run 0 $tool -o none.denoised.$f none.$f; done
[ "$(shown none.wav)" = "$(shown none.denoised.wav)" ] || fail "no frames: $(shown none.denoised.wav)"
$sound make wav s16 48000 1 1 noise short.wav; run 0 $tool short.wav; [ "$(shown short.wav)" = "$(shown short.denoised.wav)" ] || fail "one frame"
$sound make wav s16 48000 2 9000 silence silent.wav; run 0 $tool silent.wav; same silent.wav silent.denoised.wav
$sound make wav f32 48000 1 9000 dc dc.wav; run 0 $tool dc.wav; present dc.denoised.wav
$sound make wav f32 48000 2 9000 nan nan.wav; run 0 $tool nan.wav; says "18 samples are no numbers, the first at frame 777 (0:00.02)"
$sound least nan.denoised.wav | grep -qi 'nan\|inf' && fail "no numbers in the output"
$sound make wav s16 48000 1 9000 loud loud.wav; run 0 $tool -m same loud.wav
$sound make wav f32 48000 1 9000 loud loudf.wav; run 0 $tool -m same -o loud.flac loudf.wav; says "floating point rounded to 24 bits"

# what must be refused, without output and without stopping the rest
head -c 3000 b.wav >cut.wav; head -c 5000 c.flac >cut.flac; printf '' >empty.wav; echo "no sound" >text.wav; head -c 43 b.wav >head.wav
$sound make wav s16 4000 1 100 noise slow.wav; $sound make wav s16 768000 1 100 noise fast.wav; $sound make wav s16 48000 40 100 noise many.wav
rm -f ./*.denoised.*
run 1 $tool missing.wav cut.wav cut.flac empty.wav text.wav head.wav slow.wav fast.wav many.wav b.wav
for f in missing.wav cut.wav cut.flac empty.wav text.wav head.wav slow.wav fast.wav many.wav; do
    says "aedenoise: $f: "; absent ${f%.*}.denoised.${f##*.}
done
says "cut.wav: wav: truncated: the header claims 6002 bytes of samples, 2956 are there"
says "slow.wav: 1 channels at 4000 Hz: from 1 to 32 channels and 8000 to 192000 Hz are cleaned"
present b.denoised.wav
$sound make wav s16 96000 6 3000 noise wide.wav
run 1 $tool -o wide.mp3 wide.wav; says "MP3 holds at most 2 channels, not 6"; absent wide.mp3
run 1 $tool -o wide.opus wide.wav; says "cannot hold 6 channels at 96000 Hz"; absent wide.opus
run 1 $tool -o wide.png wide.wav; absent wide.png
run 1 $tool --format wav -o /dev/full b.wav; says "No space left"
run 1 $tool -f -o b.wav b.wav; says "is the input"
[ -z "$(ls -a | grep '\.tmp')" ] || fail "left behind: $(ls -a)"
run 1 $tool -m nowhere b.wav; says "nowhere"
finish
