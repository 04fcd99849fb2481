//! What `scripts/package.sh` makes of the binary under test is installed, started and looked into.

use anyhow::{Context, Result, bail, ensure};
use e2e::{Folder, Tool, project};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// Compressing a build with debug information takes its time.
const PACKAGE_MAX: Duration = Duration::from_secs(240);
/// Debian 12's; the documents promise it.
const GLIBC_MAX: (u32, u32) = (2, 36);

/// The packages, made once per run of the tests.
fn packages() -> Result<PathBuf> {
    let folder = project().join("target/e2e/packages");
    std::fs::create_dir_all(&folder)?;
    let lock = std::fs::File::create(folder.join("lock"))?;
    // Each test may be a process of its own.
    lock.lock()?;
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::process::id().to_string());
    let (made, out) = (folder.join("made"), folder.join("out"));
    if std::fs::read_to_string(&made).is_ok_and(|made| made == run) {
        return Ok(out);
    }
    package(&out)?;
    std::fs::write(made, run)?;
    Ok(out)
}

fn package(out: &Path) -> Result<()> {
    let script = Tool::new(project().join("scripts/package.sh")).arg("--binary").arg(Tool::floodtide_path());
    script.arg("--out").arg(out).succeed(PACKAGE_MAX)?;
    Ok(())
}

/// The only file of a folder whose name ends so.
fn only(folder: &Path, end: &str) -> Result<PathBuf> {
    let files = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let found: Vec<_> = files.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        _ => bail!("{found:?} in {} end with {end}", folder.display()),
    }
}

fn debian() -> Result<PathBuf> {
    only(&packages()?, ".deb")
}

/// The Debian package, unpacked.
fn unpacked() -> Result<(Folder, PathBuf)> {
    let folder = Folder::new()?;
    let root = folder.file("root");
    Tool::new("dpkg-deb").arg("-x").arg(debian()?).arg(&root).succeed(LIMIT)?;
    Ok((folder, root))
}

fn version(binary: &Path) -> Result<String> {
    Ok(Tool::new(binary).arg("--version").succeed(LIMIT)?.text().trim().to_owned())
}

#[test]
fn the_binary_needs_glibc_of_debian_12_and_nothing_else() -> Result<()> {
    let text = Tool::new("objdump").arg("-p").arg(Tool::floodtide_path()).succeed(LIMIT)?.text();
    let needed = text.lines().filter_map(|line| line.trim().strip_prefix("NEEDED")).map(str::trim);
    for library in needed {
        let glibc =
            ["libc.so.6", "libm.so.6", "libgcc_s.so.1"].contains(&library) || library.starts_with("ld-linux");
        ensure!(glibc, "{library} is needed, too:\n{text}");
    }
    for word in text.split_whitespace().filter_map(|word| word.strip_prefix("GLIBC_")) {
        let mut parts = word.split('.').map(|part| part.parse().unwrap_or(u32::MAX));
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        ensure!(version <= GLIBC_MAX, "GLIBC_{word} is newer than {GLIBC_MAX:?}");
    }
    Ok(())
}

#[test]
fn the_debian_package_has_what_it_should_and_its_binary_runs() -> Result<()> {
    let (_folder, root) = unpacked()?;
    for file in [
        "usr/bin/floodtide",
        "usr/lib/systemd/system/floodtide.service",
        "usr/lib/systemd/system/floodtide@.service",
        "usr/lib/sysusers.d/floodtide.conf",
        "usr/share/man/man1/floodtide.1.gz",
        "usr/share/man/man1/floodtide-config-check.1.gz",
        "usr/share/doc/floodtide/copyright",
        "usr/share/doc/floodtide/third-party.txt.gz",
        "usr/share/doc/floodtide/install.md",
    ] {
        ensure!(root.join(file).is_file(), "{file} is missing");
    }
    let binary = root.join("usr/bin/floodtide");
    ensure!(version(&binary)? == version(&Tool::floodtide_path())?);
    let config = root.join("etc/floodtide/floodtide.toml");
    Tool::new(&binary).words("config check").arg(&config).succeed(LIMIT)?;
    let sample = std::fs::read_to_string(project().join("deploy/floodtide.toml"))?;
    let ours = sample.replace("\n#folder =\n", "\nfolder = \"/var/lib/floodtide\"\n");
    ensure!(ours != sample && std::fs::read_to_string(config)? == ours);
    let told = Tool::new("dpkg-deb").arg("-I").arg(debian()?).succeed(LIMIT)?.text();
    for part in ["Package: floodtide", "Depends: libc6 (>= 2.", "libgcc-s1", "conffiles", "postinst"] {
        ensure!(told.contains(part), "{part} is missing in:\n{told}");
    }
    let listed = Tool::new("dpkg-deb").arg("-c").arg(debian()?).succeed(LIMIT)?.text();
    for line in listed.lines() {
        ensure!(line.contains(" root/root "), "{line}: not root's");
        let place = line.split_whitespace().nth(5).context("no name")?;
        let ours =
            ["./etc/floodtide/", "./usr/"].iter().any(|place_of_ours| place.starts_with(place_of_ours));
        ensure!(ours || ["./", "./etc/"].contains(&place), "{place} is none of ours");
    }
    Ok(())
}

/// A copy of this machine that lasts as long as its process: what is installed in it is gone afterwards.
const THROWAWAY: &str = r#"
set -e
mount -t tmpfs none "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
cp "$2" "$1/root/tmp/floodtide.deb"
export DEBIAN_FRONTEND=noninteractive
inside() { chroot "$1" "${@:2}"; }
root=$1/root
inside "$root" dpkg --force-confold -i /tmp/floodtide.deb
echo "config: $(inside "$root" stat -c '%U:%G %a' /etc/floodtide/floodtide.toml)"
echo "owner: $(inside "$root" dpkg -S /usr/bin/floodtide)"
as_server="setpriv --reuid=floodtide --regid=floodtide --clear-groups"
ctl="/usr/bin/floodtide ctl --config /etc/floodtide/floodtide.toml key"
inside "$root" $as_server $ctl add --path live/alice >/dev/null
echo "keys: $(inside "$root" stat -c '%U %n' /var/lib/floodtide/keys.json)"
inside "$root" $as_server /usr/bin/floodtide config check /etc/floodtide/floodtide.toml
echo '[publish]' >"$root/etc/floodtide/floodtide.toml"
inside "$root" dpkg --force-confold -i /tmp/floodtide.deb
echo "kept: $(cat "$root/etc/floodtide/floodtide.toml") $(inside "$root" stat -c '%U:%G %a' /etc/floodtide/floodtide.toml)"
inside "$root" dpkg -P floodtide
for gone in /usr/bin/floodtide /etc/floodtide /var/lib/floodtide; do
    [ ! -e "$root$gone" ] || { echo "$gone is still there"; exit 1; }
done
echo "purged"
"#;

#[test]
fn the_debian_package_installs_upgrades_and_goes_without_a_trace() -> Result<()> {
    let folder = Folder::new()?;
    let place = folder.file("machine");
    std::fs::create_dir(&place)?;
    let tool = Tool::new("unshare").words("--mount bash -c").arg(THROWAWAY).arg("throwaway").arg(&place);
    let text = tool.arg(debian()?).succeed(LIMIT)?.text();
    for part in [
        "systemctl enable --now floodtide",
        "config: root:floodtide 640",
        "owner: floodtide: /usr/bin/floodtide",
        "keys: floodtide /var/lib/floodtide/keys.json",
        "/etc/floodtide/floodtide.toml is good",
        "systemctl start floodtide@",
        "kept: [publish] root:floodtide 640",
        "purged",
    ] {
        ensure!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    Ok(())
}

#[test]
fn the_units_are_right_and_let_the_server_do_little() -> Result<()> {
    let (folder, root) = unpacked()?;
    let units = root.join("usr/lib/systemd/system");
    for name in ["floodtide.service", "floodtide@.service"] {
        // Out of ten; 2.0 and less is what systemd calls OK for a server on the network.
        let judge =
            Tool::new("systemd-analyze").words("security --offline=true --no-pager --threshold=20 --root");
        judge.arg(&root).arg(name).succeed(LIMIT)?;
        let text = std::fs::read_to_string(units.join(name))?;
        let binary = root.join("usr/bin/floodtide");
        let here = folder.file(name);
        std::fs::write(&here, text.replace("/usr/bin/floodtide", &binary.to_string_lossy()))?;
        let done = Tool::new("systemd-analyze").words("verify --man=no").arg(&here).succeed(LIMIT)?;
        let ours = done.log.lines().filter(|line| line.contains("floodtide")).collect::<Vec<_>>();
        ensure!(ours.is_empty(), "{ours:?}");
        ensure!(text.contains("--take-over") == name.contains('@'), "{text}");
    }
    Ok(())
}

/// Systemd's groups of system calls: their members, some of which are groups.
fn groups() -> Result<BTreeMap<String, Vec<String>>> {
    let text = Tool::new("systemd-analyze").words("syscall-filter --no-pager").succeed(LIMIT)?.text();
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        match line.trim() {
            "" => {}
            comment if comment.starts_with('#') => {}
            group if group.starts_with('@') && !line.starts_with(' ') => group.clone_into(&mut name),
            member => groups.entry(name.clone()).or_default().push(member.to_owned()),
        }
    }
    Ok(groups)
}

fn members(groups: &BTreeMap<String, Vec<String>>, name: &str) -> BTreeSet<String> {
    let of = groups.get(name).into_iter().flatten();
    of.flat_map(|m| if m.starts_with('@') { members(groups, m) } else { BTreeSet::from([m.clone()]) })
        .collect()
}

#[test]
fn the_unit_allows_every_system_call_that_the_server_makes() -> Result<()> {
    let unit = std::fs::read_to_string(project().join("deploy/systemd/floodtide.service"))?;
    let groups = groups()?;
    let mut allowed = BTreeSet::new();
    for line in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (forbidden, names) = line.strip_prefix('~').map_or((false, line), |names| (true, names));
        for name in names.split_whitespace() {
            let these = members(&groups, name);
            ensure!(!these.is_empty(), "systemd knows no {name}");
            allowed = if forbidden { &allowed - &these } else { &allowed | &these };
        }
    }
    let folder = Folder::new()?;
    let trace = folder.file("trace");
    // The demo publishes and packages; the limit of files is as the unit sets it, so that the server needn't.
    let strace = Tool::new("prlimit")
        .words("--nofile=8192:8192 timeout --signal=TERM 6 strace -f -qq -e signal=none -o");
    let mut server = strace
        .arg(&trace)
        .arg(Tool::floodtide_path())
        .words("demo --webrtc 127.0.0.1:0 --srt 127.0.0.1:0 --admin 127.0.0.1:0 --rtmp 127.0.0.1:0");
    server = server.words("--http 127.0.0.1:0").env("FLOODTIDE_STATE__FOLDER", folder.file("state"));
    server.run(LIMIT)?;
    let trace = std::fs::read_to_string(trace)?;
    let call = |line: &str| {
        let call = line.split_whitespace().nth(1)?.split('(').next()?;
        (line.contains('(') && call.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
            .then(|| call.to_owned())
    };
    let made: BTreeSet<String> = trace.lines().filter_map(call).collect();
    ensure!(made.contains("accept4") && made.contains("execve"), "the server did nothing: {made:?}");
    let refused: Vec<_> = made.difference(&allowed).collect();
    ensure!(refused.is_empty(), "the unit refuses {refused:?}");
    Ok(())
}

#[test]
fn shells_take_the_completions_and_man_takes_the_pages() -> Result<()> {
    let (_folder, root) = unpacked()?;
    let share = root.join("usr/share");
    let bash = "source \"$0\" && complete -p floodtide && COMP_WORDS=(floodtide conf) COMP_CWORD=1 && \
                _floodtide floodtide conf floodtide && echo \"${COMPREPLY[@]}\"";
    let done = Tool::new("bash").arg("-c").arg(bash).arg(share.join("bash-completion/completions/floodtide"));
    let done = done.succeed(LIMIT)?;
    ensure!(done.text().lines().last() == Some("config"), "{done}");
    Tool::new("zsh").arg("-n").arg(share.join("zsh/vendor-completions/_floodtide")).succeed(LIMIT)?;
    let fish = share.join("fish/vendor_completions.d/floodtide.fish");
    let fish = format!("source {fish:?}; complete --do-complete 'floodtide conf'");
    let done = Tool::new("fish").words("--no-config -c").arg(fish).succeed(LIMIT)?;
    ensure!(done.text().starts_with("config"), "{done}");
    for page in std::fs::read_dir(share.join("man/man1"))? {
        let page = page?.path();
        let done = Tool::new("man").words("--warnings=mac -E UTF-8 -l").arg(&page).succeed(LIMIT)?;
        ensure!(done.log.is_empty() && done.text().contains("SYNOPSIS"), "{}: {done}", page.display());
    }
    Ok(())
}

#[test]
fn the_tarball_has_a_folder_of_its_own_and_its_binary_runs() -> Result<()> {
    let folder = Folder::new()?;
    let ball = only(&packages()?, ".tar.gz")?;
    Tool::new("tar").arg("-xzf").arg(&ball).arg("-C").arg(folder.file("")).succeed(LIMIT)?;
    let name = ball.file_name().context("no name")?.to_string_lossy().replace(".tar.gz", "");
    let inside = folder.file(&name);
    ensure!(version(&inside.join("bin/floodtide"))? == version(&Tool::floodtide_path())?);
    for file in ["floodtide.toml", "systemd/floodtide.service", "man/floodtide.1", "completions/_floodtide"] {
        ensure!(inside.join(file).is_file(), "{file} is missing");
    }
    let licences = std::fs::read_to_string(inside.join("licences/third-party.txt"))?;
    for part in ["rustls ", "aws-lc-sys ", "tokio ", "Permission is hereby granted"] {
        ensure!(licences.contains(part), "{part:?} is missing in the licences");
    }
    Ok(())
}

#[test]
fn packages_of_the_same_binary_are_the_same_bytes() -> Result<()> {
    let again = Folder::new()?;
    package(&again.file("out"))?;
    let sums = |folder: &Path| std::fs::read_to_string(folder.join("SHA256SUMS"));
    let (first, second) = (sums(&packages()?)?, sums(&again.file("out"))?);
    ensure!(first == second && first.lines().count() == 2, "{first}\n{second}");
    Ok(())
}

/// Builds the image with storage of its own; `$1` is that storage, `$2` the folder of the Dockerfile.
const IMAGE: &str = r#"
set -e
on() { buildah --storage-driver vfs --root "$storage/images" --runroot "$storage/run" "$@"; }
storage=$1
on bud --isolation chroot -t floodtide "$2" >&2
container=$(on from floodtide)
root=$(on mount "$container")
for file in $(find "$root" -type f); do echo "file ${file#"$root"}"; done
on inspect --type image --format 'entry {{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}} as {{.OCIv1.Config.User}}' floodtide
echo "state $(stat -c '%u:%g' "$root/var/lib/floodtide"), above $(stat -c '%u:%g' "$root/var/lib")"
echo "version $(chroot --userspec=65532:65532 "$root" /usr/bin/floodtide --version)"
export STATE_DIRECTORY=/var/lib/floodtide
chroot --userspec=65532:65532 "$root" /usr/bin/floodtide config check /etc/floodtide/floodtide.toml
on rm "$container" >/dev/null
on rmi floodtide >/dev/null
"#;

#[test]
fn the_image_holds_the_binary_and_what_it_needs_and_nothing_else() -> Result<()> {
    let (folder, image) = (Folder::new()?, packages()?.join("image"));
    let build = Tool::new("bash").arg("-c").arg(IMAGE).arg("image").arg(folder.file("storage")).arg(image);
    let text = build.succeed(PACKAGE_MAX)?.text();
    let files: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("file ")).collect();
    let programs: Vec<_> =
        files.iter().filter(|file| file.contains("/bin/") || file.contains("/sbin/")).collect();
    ensure!(programs == [&"/usr/bin/floodtide"], "{programs:?}");
    let libraries = files.iter().filter(|file| file.contains(".so")).count();
    ensure!(libraries == 4, "{libraries} libraries in {files:?}");
    let known =
        |file: &&&str| ["/etc/", "/usr/bin/", "/usr/share/doc/", "/lib"].iter().any(|p| file.starts_with(p));
    ensure!(files.iter().all(|file| known(&file)), "{files:?}");
    for part in [
        "entry [/usr/bin/floodtide] [serve --config /etc/floodtide/floodtide.toml] as 65532:65532",
        "state 65532:65532, above 0:0",
        &format!("version {}", version(&Tool::floodtide_path())?),
        "/etc/floodtide/floodtide.toml is good",
        "/usr/share/doc/libc6/copyright",
        "/etc/ssl/certs/ca-certificates.crt",
    ] {
        ensure!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    Ok(())
}
