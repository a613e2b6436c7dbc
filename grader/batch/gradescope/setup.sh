#!/usr/bin/env bash
# Runs once, when the autograder is built.
set -euo pipefail
cd "${KWS_AUTOGRADER:-/autograder}/source"
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends python3 python3-venv
python3 -m venv ../venv
python=../venv/bin/python
index=@index@ # of torch's builds, if the instructor named one
mapfile -t torch < <(grep -E '^torch(audio)?==' lock/constraints.txt)
# All but torch and what only its CUDA build needs, by their hashes; other builds have other hashes.
awk '/^[^ ]/ { keep = !/^(torch|torchaudio|triton|nvidia-|cuda-)/ } keep' lock/dev.txt > lock/besides-torch.txt
install_torch() {
  if [ -n "$index" ]; then
    $python -m pip install --no-deps --index-url "$index" "${torch[@]}" || exit 1
  else # uv knows the index of the CPU builds
    $python -m pip install --require-hashes --requirement lock/uv.txt &&
      $python -m uv pip install --python $python --torch-backend=cpu --no-deps "${torch[@]}"
  fi
}
if install_torch; then
  $python -m pip install --require-hashes --no-deps --requirement lock/besides-torch.txt
else
  echo "uv could not install torch's CPU build: installing the usual one, which includes CUDA"
  $python -m pip install --require-hashes --requirement lock/dev.txt
fi
$python -m pip install --no-deps --no-build-isolation .
chmod 700 . && chmod -R go-rwx .
$python -m grader tier
