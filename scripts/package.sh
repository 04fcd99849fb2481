#!/usr/bin/env bash
# Makes packages of a release binary: a Debian package, a tarball, and the folder that an image is built from.
#   cargo build --release -p floodtide && scripts/package.sh [--binary FILE] [--out FOLDER]
# The same binary and commit give the same bytes. Needs dpkg-deb, binutils and python3; builds nothing.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
binary=$project/target/release/floodtide out=$project/target/package
while (($#)); do
    case $1 in
        --binary) binary=$(realpath "$2") ;;
        --out) out=$(realpath -m "$2") ;;
        *) sed -n '2,4s/^# //p' "$0"; exit 2 ;;
    esac
    shift 2
done
[[ -x $binary ]] || { echo "there is no $binary: cargo build --release -p floodtide" >&2; exit 1; }

version=$("$binary" --version | cut -d' ' -f2)
architecture=$(dpkg --print-architecture)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$project" log -1 --format=%ct 2>/dev/null || stat -c %Y "$binary")}
export SOURCE_DATE_EPOCH
umask 022
rm -rf "$out"
mkdir -p "$out"
tree=$out/tree

# put FILE PLACE: a file that everybody may read.
put() { install -D -m 644 "$1" "$2"; }
# compress FILE PLACE: the same, by gzip, without a date.
compress() { mkdir -p "$(dirname "$2")" && gzip -9nc "$1" >"$2"; }
# Everything is as old as the commit.
age() { find "$1" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +; }

# Without debug information it is a third of the size; names of functions stay for backtraces.
install -D -m 755 "$binary" "$tree/usr/bin/floodtide"
strip --strip-debug "$tree/usr/bin/floodtide"
put "$project/deploy/floodtide.toml" "$tree/etc/floodtide/floodtide.toml"
# Said, so that `floodtide ctl key` finds it whoever runs it.
sed -i 's|^#folder =$|folder = "/var/lib/floodtide"|' "$tree/etc/floodtide/floodtide.toml"
put "$project/deploy/systemd/floodtide.service" "$tree/usr/lib/systemd/system/floodtide.service"
# The same, for a new process that takes the place of the running one.
sed -e 's/^Description=.*/& (takes over from the running one, %i)/' -e 's/^ExecStart=.*/& --take-over/' \
    "$project/deploy/systemd/floodtide.service" >"$tree/usr/lib/systemd/system/floodtide@.service"
put "$project/deploy/systemd/sysusers.conf" "$tree/usr/lib/sysusers.d/floodtide.conf"

"$binary" man "$out/man"
for page in "$out"/man/*.1; do
    compress "$page" "$tree/usr/share/man/man1/$(basename "$page").gz"
done
mkdir -p "$out/completions"
"$binary" complete bash >"$out/completions/floodtide"
"$binary" complete zsh >"$out/completions/_floodtide"
"$binary" complete fish >"$out/completions/floodtide.fish"
put "$out/completions/floodtide" "$tree/usr/share/bash-completion/completions/floodtide"
put "$out/completions/_floodtide" "$tree/usr/share/zsh/vendor-completions/_floodtide"
put "$out/completions/floodtide.fish" "$tree/usr/share/fish/vendor_completions.d/floodtide.fish"

doc=$tree/usr/share/doc/floodtide
for page in "$project"/docs/*.md "$project/README.md"; do
    put "$page" "$doc/$(basename "$page")"
done
compress "$project/CHANGELOG.md" "$doc/changelog.gz"
"$project/scripts/third-party.py" >"$out/third-party.txt"
compress "$out/third-party.txt" "$doc/third-party.txt.gz"
{
    echo "Floodtide is under the MIT licence or the Apache licence 2.0, as you like; its libraries: third-party.txt.gz."
    printf '\n%s\n\n' "$(cat "$project/LICENSE-MIT")"
    echo "The Apache licence 2.0 is in /usr/share/common-licenses/Apache-2.0."
} >"$doc/copyright"
chmod 644 "$doc/copyright" "$tree/usr/lib/systemd/system/floodtide@.service"

# Debian.
glibc=$(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
mkdir "$tree/DEBIAN"
sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@GLIBC@/${glibc#GLIBC_}/" \
    -e "s/@SIZE@/$(du -sk --apparent-size "$tree" | cut -f1)/" "$project/deploy/debian/control" >"$tree/DEBIAN/control"
cp "$project/deploy/debian/conffiles" "$tree/DEBIAN/"
(cd "$tree" && find etc usr -type f ! -path 'etc/*' -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
for script in postinst prerm postrm; do
    install -m 755 "$project/deploy/debian/$script" "$tree/DEBIAN/$script"
done
age "$tree"
dpkg-deb --root-owner-group -Zxz --build "$tree" "$out/floodtide_${version}_$architecture.deb" >/dev/null

# Everywhere else.
name=floodtide-$version-linux-$architecture
ball=$out/$name
mkdir -p "$ball/licences"
install -D -m 755 "$tree/usr/bin/floodtide" "$ball/bin/floodtide"
put "$project/deploy/floodtide.toml" "$ball/floodtide.toml"
cp -r "$out/completions" "$out/man" "$ball/"
cp -r "$tree/usr/lib/systemd/system" "$ball/systemd"
cp -r "$project/docs" "$project/README.md" "$project/CHANGELOG.md" "$ball/"
cp "$project"/LICENSE-* "$out/third-party.txt" "$ball/licences/"
age "$ball"
tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$out" "$name" |
    gzip -9n >"$out/$name.tar.gz"

# An image: the binary, the libraries that it names, certificates of authorities, a user, and how names are looked up.
image=$out/image/root
install -D -m 755 "$tree/usr/bin/floodtide" "$image/usr/bin/floodtide"
ldd "$binary" | grep -o '/[^ ]*' | while read -r library; do
    install -D -m 755 "$(realpath "$library")" "$image$library"
    # Where /lib is a link, the package may know the file by either name.
    owner=$(dpkg -S "$library" "/usr$library" 2>/dev/null | head -n 1 | cut -d: -f1 || true)
    [[ -z $owner ]] || put "/usr/share/doc/$owner/copyright" "$image/usr/share/doc/$owner/copyright"
done
put "$tree/etc/floodtide/floodtide.toml" "$image/etc/floodtide/floodtide.toml"
[[ ! -e /etc/ssl/certs/ca-certificates.crt ]] ||
    put /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/ca-certificates.crt"
echo 'floodtide:x:65532:65532::/var/lib/floodtide:/nonexistent' >"$image/etc/passwd"
echo 'floodtide:x:65532:' >"$image/etc/group"
echo 'hosts: files dns' >"$image/etc/nsswitch.conf"
mkdir -p "$image/var/lib"
put "$doc/copyright" "$image/usr/share/doc/floodtide/copyright"
put "$out/third-party.txt" "$image/usr/share/doc/floodtide/third-party.txt"
mkdir "$out/image/state"
put "$project/deploy/Dockerfile" "$out/image/Dockerfile"
age "$out/image"

rm -rf "$tree" "$ball" "$out/man" "$out/completions" "$out/third-party.txt"
(cd "$out" && sha256sum -- *.deb *.tar.gz | tee SHA256SUMS)
