/* SPDX-License-Identifier: BSD-2-Clause */
#include "netspec.h"

#include <stdio.h>

#include "nn/acts.h"
#include "nn/ops.h"

static const net_case written[] = {
    /* convolutions: sizes, strides, kernels, channels that do and do not fill vectors */
    {"conv 3 to 16", "input c=3; conv c=16 act=relu", 5, 7},
    {"conv 1 to 1", "input c=1; conv c=1", 13, 9},
    {"conv 12 to 32", "input c=12; conv c=32 act=relu", 13, 9},
    {"conv 16 to 17", "input c=16; conv c=17", 5, 7},
    {"conv 17 to 12", "input c=17; conv c=12 act=leaky slope=0.2", 5, 7},
    {"conv 48 to 48", "input c=48; conv c=48 act=relu; conv c=48", 5, 7},
    {"conv 32 to 3", "input c=32; conv c=3", 13, 9},
    {"conv 1x1", "input c=17; conv c=32 k=1; conv c=12 k=1 act=relu", 5, 7},
    {"conv 2x2 stride 2", "input c=16; conv c=32 k=2 s=2 p=0", 6, 8},
    {"conv 2x2 stride 2, odd size", "input c=3; conv c=16 k=2 s=2 p=0", 13, 9},
    {"conv 2x2 stride 1", "input c=3; conv c=16 k=2 p=1", 5, 7},
    {"conv 3x3 stride 2", "input c=12; conv c=16 s=2 act=relu", 13, 9},
    {"conv 3x3 stride 3", "input c=3; conv c=17 s=3", 13, 9},
    {"conv 5x5", "input c=3; conv c=16 k=5 act=relu; conv c=3 k=5", 13, 9},
    {"conv 5x5 stride 2", "input c=16; conv c=32 k=5 s=2", 13, 9},
    {"conv 3x5 stride 1x2", "input c=3; conv c=12 k=3x5 s=1x2", 5, 7},
    {"conv valid", "input c=3; conv c=16 p=0; conv c=16 p=0", 7, 6},
    {"conv padded far", "input c=3; conv c=16 p=2", 5, 7},
    {"conv kernel larger than the picture", "input c=3; conv c=16 k=5", 2, 1},
    {"conv dilation 2", "input c=16; conv c=16 d=2 act=relu", 13, 9},
    {"conv dilation 3x1", "input c=3; conv c=17 d=3x1", 13, 9},
    {"conv without bias", "input c=3; conv c=16 bias=0 act=relu; conv c=12 bias=0", 5, 7},
    {"conv groups", "input c=12; conv c=32 g=4", 5, 7},
    {"conv groups of 16", "input c=48; conv c=48 g=3 act=relu", 5, 7},
    {"depthwise", "input c=17; conv c=17 g=17 act=relu; conv c=32 k=1", 13, 9},
    {"depthwise 48, 5x5", "input c=48; conv c=48 g=48 k=5", 13, 9},
    {"depthwise stride 2", "input c=32; conv c=32 g=32 s=2", 13, 9},
    {"depthwise dilation 2", "input c=3; conv c=3 g=3 d=2", 13, 9},
    {"depthwise multiplier 2", "input c=16; conv c=32 g=16", 5, 7},
    {"conv causal",
     "input c=3; conv c=16 causal=1 act=relu; conv c=16 causal=1 d=2x1; conv c=3 causal=1 k=5x1",
     13, 9},
    {"conv causal, padded less", "input c=16; conv c=32 causal=1 k=5x3 p=3x1", 13, 9},
    {"conv causal, stride 2x1",
     "input c=16; conv c=16 causal=1 k=4x3 s=2x1 p=2x1 act=relu; conv c=16 causal=1 add=1", 14, 9},
    {"conv causal, dilation 4",
     "input c=17; conv c=32 causal=1 d=4x2 act=relu; conv c=17 causal=1 k=2x1 d=8x1 add=0", 13, 9},
    {"depthwise causal",
     "input c=32; conv c=32 g=32 causal=1 k=5x1; conv c=48 k=1 act=relu; conv c=48 g=48 causal=1 "
     "d=2x1",
     13, 9},
    {"conv causal of one column",
     "input c=48; conv c=48 causal=1 k=3x1 act=relu; conv c=48 causal=1 k=3x1 d=4x1 act=silu", 21,
     1},
    {"deconv causal",
     "input c=16; deconv c=12 causal=1 k=4x2 s=2x1 p=2x0 act=relu; deconv c=3 causal=1 k=3 s=1 "
     "p=2x1",
     5, 7},
    {"pools causal",
     "input c=12; maxpool causal=1 k=3x2 s=1x2 p=2x0; avgpool causal=1 k=4x1 s=2x1 p=2x0; outputs "
     "from=1,2",
     12, 8},
    {"deconv 2x2", "input c=16; deconv c=16", 5, 7},
    {"deconv 2x2, odd channels", "input c=12; deconv c=3 act=relu", 5, 7},
    {"deconv 3x3 stride 2", "input c=17; deconv c=16 k=3 p=1", 5, 7},
    {"deconv 4x4 stride 2", "input c=32; deconv c=12 k=4 p=1 act=relu; conv c=3", 5, 7},
    {"deconv 3x3 stride 1", "input c=3; deconv c=17 k=3 s=1 p=1", 5, 7},
    {"deconv 3x2 stride 3x1", "input c=3; deconv c=16 k=3x2 s=3x1", 5, 7},
    {"deconv without bias", "input c=16; deconv c=32 bias=0", 5, 7},
    {"deconv groups", "input c=12; deconv c=32 g=4", 5, 7},
    {"deconv depthwise", "input c=17; deconv c=17 g=17", 5, 7},
    {"dense", "input c=3 h=5 w=7; dense c=17", 5, 7},
    {"dense after conv",
     "input c=3 h=5 w=7; conv c=12 act=relu; dense c=16 act=relu; dense c=1 bias=0", 5, 7},
    {"dense autoencoder",
     "input c=1 h=9 w=5; dense c=32 act=relu; dense c=3; dense c=32 act=relu; dense c=45 "
     "act=sigmoid;"
     "reshape h=9 w=5 c=1",
     9, 5},
    {"dense to picture",
     "input c=17 h=1 w=1; dense c=96 act=relu; reshape h=2 w=3 c=16; deconv c=3", 1, 1},
    {"dense chain with add",
     "input c=16 h=1 w=1; dense c=16 act=relu; dense c=16 add=0 act=relu; dense c=16 add=1", 1, 1},

    /* every activation, fused on a convolution, on others, alone */
    {"relu", "input c=3; conv c=16 act=relu; conv c=3 act=relu", 5, 7},
    {"leaky", "input c=3; conv c=16 act=leaky; conv c=3 act=leaky slope=0.3", 5, 7},
    {"leaky, negative slope",
     "input c=3; conv c=16 act=leaky slope=-0.5; conv c=3 add=0 act=leaky slope=-1", 5, 7},
    {"sigmoid", "input c=3; conv c=16 act=sigmoid; conv c=3 act=sigmoid", 5, 7},
    {"tanh", "input c=3; conv c=16 act=tanh; conv c=3 act=tanh", 5, 7},
    {"softplus", "input c=3; conv c=16 act=softplus; conv c=3 act=softplus", 5, 7},
    {"silu", "input c=3; conv c=16 act=silu; conv c=3 act=silu", 5, 7},
    {"gelu", "input c=3; conv c=16 act=gelu; conv c=3 act=gelu", 5, 7},
    {"clip", "input c=3; conv c=16 act=clip; conv c=3 act=clip", 5, 7},
    {"clip, without memory of its own",
     "input c=20; act act=clip; scale; act from=0 act=clip; outputs from=2,3", 5, 7},
    {"activations alone",
     "input c=12; act act=relu; act from=0 act=leaky; act from=0 act=sigmoid; act from=0 act=tanh;"
     "act from=0 act=softplus; act from=0 act=silu; act from=0 act=gelu; outputs "
     "from=1,2,3,4,5,6,7",
     5, 7},
    {"activations on deconv", "input c=12; deconv c=16 act=silu; deconv c=3 act=tanh", 3, 5},
    {"activations on dense", "input c=12 h=2 w=3; dense c=16 act=gelu; dense c=3 act=softplus", 2,
     3},
    {"activations on other operators",
     "input c=3; maxpool act=tanh; bilinear act=silu; concat from=2,0 act=relu; add from=3,3 "
     "act=gelu;"
     "scale act=sigmoid; shuffle f=1 act=softplus; mul from=6,6 act=leaky",
     4, 6},
    {"input after layers",
     "input c=3; conv c=48 act=relu; conv c=48 act=relu; conv c=16 act=relu; input c=16; mul "
     "from=3,4; conv c=16",
     13, 9},
    {"activation of the input", "input c=3 act=relu; conv c=16", 5, 7},

    /* pooling and resampling */
    {"maxpool", "input c=16; maxpool", 6, 8},
    {"maxpool odd", "input c=3; conv c=17 act=relu; maxpool; conv c=12", 13, 9},
    {"maxpool 3x3 stride 2 padded", "input c=17; maxpool k=3 s=2 p=1", 13, 9},
    {"maxpool 3x2 stride 1", "input c=3; maxpool k=3x2 s=1", 5, 7},
    {"avgpool", "input c=12; avgpool", 6, 8},
    {"avgpool 3x3 stride 2 padded", "input c=17; avgpool k=3 s=2 p=1", 13, 9},
    {"avgpool 5x5 stride 1 padded", "input c=1; avgpool k=5 s=1 p=2", 5, 7},
    {"nearest", "input c=3; nearest; conv c=16", 5, 7},
    {"nearest 3", "input c=17; nearest f=3", 5, 7},
    {"bilinear", "input c=3; conv c=16; bilinear; conv c=3", 5, 7},
    {"bilinear 3", "input c=17; bilinear f=3", 5, 7},
    {"bilinear 4 of one pixel", "input c=12; bilinear f=4", 1, 2},
    {"shuffle", "input c=12; shuffle", 5, 7},
    {"shuffle after conv", "input c=3; conv c=64; shuffle; conv c=12; shuffle", 5, 7},
    {"shuffle 3", "input c=27; shuffle f=3", 5, 7},
    {"unshuffle", "input c=3; unshuffle; conv c=16 act=relu", 6, 14},
    {"unshuffle 3", "input c=1; unshuffle f=3", 6, 9},
    {"unshuffle, shuffle", "input c=3; unshuffle f=4; shuffle f=4", 8, 4},
    {"unshuffle in the middle", "input c=3; conv c=16; unshuffle; conv c=16 k=1; shuffle; conv c=3",
     6, 14},

    /* joining and moving */
    {"concat", "input c=3; input c=1; concat from=0,1; conv c=16 act=relu", 5, 7},
    {"concat of layers",
     "input c=3; conv c=16; conv c=17 from=0; conv c=12 from=0; concat from=1,2,3; conv c=16", 5,
     7},
    {"concat of one with itself", "input c=3; conv c=16 act=relu; concat from=1,1,0; conv c=3", 5,
     7},
    {"add of three",
     "input c=3; conv c=17; conv c=17 from=0; conv c=17 from=0 act=relu; add from=1,2,3 act=relu; "
     "conv c=3",
     5, 7},
    {"add with itself", "input c=3; conv c=16; add from=1,1", 5, 7},
    {"add broadcast", "input c=3; conv c=16; input c=16 h=1 w=1; add from=1,2 act=relu", 5, 7},
    {"add broadcast, first", "input c=3; input c=17 h=1 w=1; conv c=17 from=0; add from=1,2", 5, 7},
    {"mul", "input c=3; conv c=16 act=sigmoid; conv c=16 from=0; mul from=1,2; conv c=3", 5, 7},
    {"mul with itself", "input c=3; conv c=17; mul from=1,1", 5, 7},
    {"mul broadcast",
     "input c=16 h=5 w=7; avgpool k=5x7; conv c=16 k=1 act=sigmoid; mul from=0,2; conv c=3", 5, 7},
    {"mul and add",
     "input c=3; conv c=17; conv c=17 k=1 act=sigmoid; mul from=1,2 add=1 act=relu; conv c=3", 5,
     7},
    {"gated by clip",
     "input c=3; conv c=16; conv c=16; conv c=16 k=1 act=clip; mul from=2,3 add=1; conv c=3", 5, 7},
    {"gated residual",
     "input c=3; conv c=16; conv c=16; conv c=16 k=1 act=sigmoid; mul from=2,3 add=1; conv c=3", 5,
     7},
    {"mul broadcast and add",
     "input c=16; input c=16 h=1 w=1 act=sigmoid; conv c=16 from=0; mul from=2,1 add=0; conv c=3",
     5, 7},
    {"mul mask", "input c=3; input c=3; conv c=16 from=0; conv c=3; mul from=3,1", 5, 7},
    {"scale", "input c=3; conv c=17; scale v=0.5; conv c=3", 5, 7},
    {"crop", "input c=3; conv c=48 act=relu; crop first=16 c=17; conv c=3", 5, 7},
    {"crop in two", "input c=12; crop c=5; crop from=0 first=5 c=7; conv c=7 from=1; add from=3,2",
     5, 7},
    {"reshape", "input c=3 h=4 w=6; conv c=16; reshape h=6 w=4 c=16; conv c=3", 4, 6},
    {"reshape of rows",
     "input c=3 w=6; conv c=16; reshape w=1 c=96; conv c=32 k=3x1 p=1x0 act=relu; reshape w=8 c=4",
     5, 6},

    /* between data and network */
    {"softmax", "input c=17; conv c=12; softmax; conv c=3", 5, 7},
    {"noise", "input c=3; conv c=17 act=relu; noise v=0.3 act=tanh; conv c=3", 5, 7},
    {"reverse", "input c=3; conv c=17; reverse v=0.7; conv c=3; outputs from=3,1", 5, 7},
    {"normalise and back",
     "input c=5; normalise; conv c=16 act=relu; conv c=5; denormalise param=1", 5, 7},
    {"gather", "input c=1; gather f=7 c=12; conv c=16; gather from=0 f=3 c=16; add from=2,3", 5, 7},
    {"argmax, and what it chooses",
     "input c=5; conv c=17; argmax; gather f=17 c=12; add from=1,1; conv c=12; add from=3,5", 5, 3},
    {"shift", "input c=3; conv c=17 act=relu; shift act=tanh; conv c=3; add from=3,0", 5, 7},
    {"tied dense",
     "input c=3 h=2 w=3; dense c=7 act=tanh; dense c=18 param=1 transposed=1; reshape h=2 w=3 c=3",
     2, 3},
    {"tied dense of 16, shared twice",
     "input c=16 h=1 w=1; dense c=32 act=relu bias=0; dense c=16 param=1 transposed=1; dense c=32 "
     "param=1 bias=0 act=relu;"
     "dense c=16 param=1 transposed=1 bias=0 add=2",
     1, 1},
    {"tied convolution",
     "input c=3; conv c=16 k=2 s=2 p=0 act=relu; deconv c=3 k=2 param=1 transposed=1", 6, 8},
    {"tied convolution 3x3",
     "input c=12; conv c=17 act=relu; deconv c=12 k=3 s=1 p=1 param=1 transposed=1 act=tanh", 5, 7},

    /* time */
    {"gru", "input c=5; gru c=7", 6, 1},
    {"gru of 16 and bands", "input c=16; gru c=16 act=relu; conv c=3", 5, 4},
    {"gru of many rows", "input c=3; gru c=20", 9, 37},
    {"gru without bias", "input c=48; conv c=48; gru c=48 bias=0; gru c=17", 7, 2},
    {"gru of one step", "input c=3; gru c=17 act=tanh", 1, 3},
    {"lstm", "input c=5; lstm c=7", 6, 1},
    {"lstm of 16 and bands", "input c=16; lstm c=16 act=relu; conv c=3", 5, 4},
    {"lstm without bias", "input c=17; lstm c=48 bias=0; lstm c=16", 7, 2},
    {"shared gru", "input c=12; gru c=12; gru c=12 param=1", 5, 2},
    {"all bands together",
     "input c=4 w=6; reshape w=1 c=24; gru c=24; reshape w=6 c=4; conv c=4 causal=1 add=0", 7, 6},
    {"there and back",
     "input c=6; gru c=9; flip from=0; gru c=9; flip; concat from=1,4; conv c=3 k=1", 8, 2},
    {"last", "input c=12; gru c=17; last; conv c=3 k=1", 6, 3},
    {"last, masked", "input c=5; input c=1 w=1; gru c=6 from=0; last from=2,1", 9, 2},
    {"repeat_time", "input c=5 h=6 w=1; lstm c=16; last; repeat_time h=6; lstm c=5", 6, 1},
    {"repeat_time of another's rows",
     "input c=5; last; conv c=16 k=1; repeat_time from=2,0; conv c=16 from=0; add from=3,4", 6, 3},
    {"autoencoder of sequences",
     "input c=3; gru c=24; last; conv c=4 k=1; repeat_time from=3,0; gru c=24; conv c=3 k=1", 10,
     1},
    {"round", "input c=3; conv c=16; round; conv c=3", 5, 7},

    /* codecs: operands of full size and of 1 x 1, parities; scales and places where no mass is
     * clamped */
    {"embed", "input c=1 h=1 w=1; embed c=17 f=5 v=0.5 slope=-2", 1, 1},
    {"embed in a network",
     "input c=3; input c=1 h=1 w=1; conv c=16 from=0; embed c=16 f=2 from=1; add from=2,3 "
     "act=relu; embed c=3 from=1 f=8;"
     "conv c=3 from=4; mul from=6,5",
     5, 7},
    {"quantise", "input c=17; input c=17 act=tanh; input c=17 act=tanh; quantise from=0,1,2", 5, 7},
    {"quantise, one step, even",
     "input c=16; input c=16 h=1 w=1; conv c=16 from=0; crop c=16 from=0; quantise parity=1 "
     "from=2,3,1; conv c=3",
     5, 7},
    {"bits",
     "input c=17 act=tanh; input c=17 act=tanh; input c=17 act=softplus; input c=17 act=sigmoid; "
     "bits from=0,1,2,3",
     5, 7},
    {"bits, odd",
     "input c=5 act=tanh; input c=5 act=tanh; input c=5 act=softplus; input c=5 act=sigmoid; bits "
     "parity=2 from=0,1,2,3",
     4, 3},
    {"bits of one scale and step",
     "input c=16 act=tanh; input c=16 h=1 w=1 act=tanh; input c=16 h=1 w=1 act=softplus; input "
     "c=16 h=1 w=1 act=sigmoid;"
     "conv c=16 from=0 act=tanh; bits parity=1 from=4,1,2,3",
     5, 7},
    {"bits of the same", "input c=12 act=tanh; bits from=0,0,0,0", 5, 7},
    {"codec",
     "input c=3; input c=1 h=1 w=1; conv c=32 k=2 s=2 p=0 from=0; conv c=16 act=tanh; embed c=16 "
     "f=3 v=0 slope=0.1 from=1;"
     "embed c=16 f=3 v=1 slope=0.1 from=1; quantise parity=1 from=3,4,4; conv c=32 k=1; crop c=16; "
     "crop c=16 from=7 first=16 "
     "act=softplus;"
     "bits parity=1 from=3,4,5,4; quantise parity=2 from=3,8,4; bits parity=2 from=3,8,9,4; add "
     "from=6,11; conv c=12 k=1;"
     "shuffle; outputs from=15,10,12",
     6, 10},
    {"codec with transforms",
     "input c=3; input c=1 h=1 w=1; unshuffle from=0; conv c=32 k=2 s=2 p=0 init=3; conv c=16 "
     "from=2 act=leaky; conv c=32 k=2 s=2 "
     "p=0 add=3;"
     "conv c=16 act=tanh; embed c=16 f=3 v=0 slope=0.1 from=1; crop c=16 from=5 act=tanh; crop "
     "c=16 from=5 first=16 act=softplus;"
     "bits parity=1 from=8,6,9,7; quantise parity=1 from=8,6,7; quantise parity=2 from=8,11,7; "
     "conv c=16 from=11; add from=11,12;"
     "concat from=14,13; conv c=48 k=1 init=4; shuffle f=4; conv c=48 from=13; shuffle f=4; add "
     "from=17,19; outputs "
     "from=20,10,6,14",
     8, 12},
    {"transforms with activation and sum",
     "input c=3; conv c=48 k=4 s=4 p=0 init=3 act=silu; conv c=48 k=1 init=4 add=1 act=tanh; conv "
     "c=48 add=2 act=gelu; shuffle "
     "f=4; conv c=16;"
     "conv c=3 k=1 act=leaky; add from=4,6; batchnorm; mul from=8,0",
     8, 4},

    /* normalisation and random nodes */
    {"batchnorm", "input c=3; conv c=16 bias=0; batchnorm act=relu; conv c=3", 5, 7},
    {"batchnorm of the input", "input c=17; batchnorm", 5, 7},
    {"batchnorm silu", "input c=3; conv c=12; batchnorm act=silu; batchnorm", 5, 7},
    {"layernorm", "input c=3; conv c=17; layernorm; conv c=3", 5, 7},
    {"layernorm 16 with gelu", "input c=16; layernorm act=gelu; conv c=16 add=0", 5, 7},
    {"dropout", "input c=17; dropout v=0.3; conv c=16", 5, 7},
    {"dropout after relu", "input c=3; conv c=16 act=relu; dropout v=0.5; conv c=3", 5, 7},
    {"dropout in dense", "input c=3 h=3 w=4; dense c=32 act=relu; dropout v=0.25; dense c=17", 3,
     4},
    {"gaussian",
     "input c=3; conv c=12; conv c=12 from=0; gaussian from=1,2; conv c=3; outputs from=4,1,2", 5,
     7},
    {"variational dense",
     "input c=1 h=4 w=4; dense c=17 act=relu; dense c=10; crop c=5; crop from=2 first=5 c=5; "
     "gaussian from=3,4;"
     "dense c=16 act=sigmoid; outputs from=6,3,4",
     4, 4},

    /* residual sums fused, several readers, several outputs, shared parameters */
    {"residual",
     "input c=16; conv c=16 act=relu; conv c=16 add=0; conv c=16 act=relu; conv c=16 add=2", 5, 7},
    {"residual with activation",
     "input c=17; conv c=17 act=relu; conv c=17 add=0 act=relu; conv c=3", 5, 7},
    {"residual with silu",
     "input c=12; conv c=12 act=silu; conv c=12 add=0 act=silu; conv c=12 add=2 act=tanh", 5, 7},
    {"residual of deconv", "input c=16; conv c=12; deconv c=12 from=0 k=3 s=1 p=1 add=1 act=relu",
     5, 7},
    {"residual of strided conv", "input c=3; conv c=16 s=2; conv c=16 from=0 s=2 add=1 act=relu",
     13, 9},
    {"residual of an activated node",
     "input c=3; conv c=16 act=relu; conv c=16 act=relu; conv c=16 add=1 act=relu; conv c=16 add=2",
     5, 7},
    {"residual of itself", "input c=16; conv c=16 act=relu; conv c=16 add=1", 5, 7},
    {"three readers",
     "input c=3; conv c=16 act=relu; conv c=16 from=1; conv c=17 from=1 k=1; maxpool from=1 k=3 "
     "s=1 p=1;"
     "concat from=2,3,4,1; conv c=3",
     5, 7},
    {"several outputs",
     "input c=3; conv c=16 act=relu; conv c=17; conv c=12 from=1 s=2; outputs from=2,3,1", 5, 7},
    {"output read further",
     "input c=3; conv c=16 act=relu; conv c=16 add=1; conv c=3; outputs from=1,3,2", 5, 7},
    {"output twice", "input c=3; conv c=3; outputs from=1,1", 5, 7},
    {"input as output", "input c=3; conv c=16; conv c=3; add from=0,2; outputs from=3,0", 5, 7},
    {"shared convolution",
     "input c=16; conv c=16 act=relu; conv c=16 param=1 act=relu; conv c=16 param=1", 5, 7},
    {"shared between branches",
     "input c=3; input c=3; conv c=17 from=0 act=relu; conv c=17 from=1 param=2; add from=2,3; "
     "conv c=3",
     5, 7},
    {"shared scale and norm",
     "input c=3; conv c=12; scale; layernorm; conv c=12; scale param=2; layernorm param=3", 5, 7},
    {"shared batchnorm", "input c=12; batchnorm; conv c=12; batchnorm param=1 act=tanh", 5, 7},
    {"shared dense",
     "input c=12 h=1 w=1; dense c=12 act=relu; dense c=12 param=1 act=relu; dense c=12 param=1 "
     "add=1",
     1, 1},

    /* small networks of the kinds that are trained */
    {"U-Net on unshuffled pixels",
     "input c=3; input c=1; concat from=0,1; unshuffle; conv c=32 act=relu; conv c=32 act=relu; "
     "conv c=32 add=4;"
     "conv c=48 k=2 s=2 p=0; conv c=48 act=relu; conv c=48 add=7; conv c=128 k=1 bias=0; shuffle; "
     "add from=11,6;"
     "conv c=32 act=relu; conv c=32 add=12; conv c=12; shuffle",
     12, 20},
    {"U-Net with concat",
     "input c=3; conv c=16 act=relu; maxpool; conv c=32 act=relu; maxpool; conv c=48 act=relu; "
     "bilinear;"
     "concat from=6,3; conv c=32 act=relu; nearest; concat from=9,1; conv c=16 act=relu; conv c=3",
     12, 8},
    {"separable blocks",
     "input c=3; conv c=32 k=1; conv c=32 g=32 k=5 act=silu; conv c=32 k=1 add=1; layernorm; conv "
     "c=48 k=1 act=gelu;"
     "conv c=32 k=1 add=3; conv c=3",
     5, 7},
    {"deconv autoencoder",
     "input c=1; conv c=16 s=2 act=relu; batchnorm; conv c=32 s=2 act=relu; deconv c=16 act=relu; "
     "deconv c=1 act=sigmoid",
     12, 8},
    {"squeeze and gate",
     "input c=16 h=5 w=7; conv c=16 act=relu; avgpool k=5x7; conv c=3 k=1 act=relu; conv c=16 k=1 "
     "act=sigmoid;"
     "mul from=1,4; add from=5,0; conv c=16",
     5, 7},
};

enum { N_WRITTEN = sizeof(written) / sizeof(*written), MOST = 128, SPEC = 160 };

/* Whether a node of it needs no more than the one before. */
static bool stands_alone(const aei_op_info *op)
{
    return op->from[0] == 1 && op->from[1] == 1 && !op->needs;
}

const net_case *net_all_cases(void)
{
    static net_case all[N_WRITTEN + MOST + 1];
    static char specs[MOST][SPEC];
    uint32_t n = 0;

    for (uint32_t i = 0; i < N_WRITTEN; i++)
        all[i] = written[i];
    for (int act = AE_ACT_NONE + 1; aei_act_info_of((ae_act)act) && n < MOST; act++, n++) {
        const char *name = ae_act_name((ae_act)act);

        snprintf(specs[n], SPEC,
                 "input c=3; conv c=16 act=%s; conv c=3 k=1; act act=%s; deconv c=3 add=3 k=1 s=1 "
                 "act=%s",
                 name, name, name);
        all[N_WRITTEN + n] = (net_case){name, specs[n], 4, 6};
    }
    for (int op = AE_OP_INPUT; op < AE_OP_INPUT + MOST && n < MOST; op++) {
        const aei_op_info *info = aei_op_info_of((ae_op)op);

        if (!info || !stands_alone(info))
            continue;
        snprintf(specs[n], SPEC, "input c=3; conv c=16; %s; conv c=3 k=1", info->name);
        all[N_WRITTEN + n] = (net_case){info->name, specs[n], 6, 8};
        n++;
    }
    return all;
}
