#!/usr/bin/env bash
# ROOT AUTOGRADER PACKAGES: run_autograder of the unpacked zip as in a fresh container. ROOT becomes a
# file system of its own, with this machine's /usr (and its Python) and nothing else of it: no
# repository, no home, no environment, no network. setup.sh would download 5 GB; installed PACKAGES
# stand for them. Call it under unshare --mount --pid --fork --net.
set -euo pipefail
root=$1 autograder=$2 packages=$3
mkdir -p "$root"/{usr,etc,proc,dev,tmp,root,autograder,packages}
for each in bin sbin lib lib64; do
    if [ -e "/$each" ]; then ln -s "usr/$each" "$root/$each"; fi
done
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind -o ro /usr "$root/usr"
mount --bind "$autograder" "$root/autograder"
mount --bind -o ro "$packages" "$root/packages"
for each in null zero random urandom; do
    touch "$root/dev/$each"
    mount --bind "/dev/$each" "$root/dev/$each"
done
printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' > "$root/etc/passwd"
cp /etc/ld.so.cache "$root/etc/"
inside() { /usr/sbin/chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root "$@"; }
inside python3 -m venv --without-pip /autograder/venv
for folder in "$root"/autograder/venv/lib/python3*/site-packages; do echo /packages > "$folder/packages.pth"; done
inside bash /autograder/run_autograder
