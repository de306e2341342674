#!/bin/bash
# Builds, runs and tests PyMomentum; no word prints the list.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$root/.venv
python=$venv/bin/python
stamps=$root/build/stamps

for_build="python3-venv python3-dev gcc libc6-dev pkg-config libuv1-dev libc-ares-dev libpcre2-dev libssl-dev
           libedit2 libcap2 ca-certificates"
for_postfix="libicu72 libdb5.3 libnsl2 libsasl2-2"             # it is unpacked, not installed
for_test="nsd swaks libnet-ssleay-perl $for_postfix"
for_bench="strace nsd $for_postfix"

# what is compiled to bytecode goes with the rest that was built, for thousands of short processes
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX=$root/build/pycache

# tests mostly wait: more at a time than there are cores
pytest="-q -n 6 --dist worksteal"

has() { [ -e "$root/$1.py" ] || [ -d "$root/$1" ]; }

usage() {
    cat <<EOF
usage: ./build.sh WORD

  run                   build, then serve in the foreground by conf/default/ecelerity.conf
  build                 system packages, virtual environment, extensions, commands in .venv/bin
  test [ARGS]           build, then run the tests, six at a time; ARGS go to pytest (-n 0: one at a time)
EOF
    if has tests/demo; then echo "  demo [ARGS]           20,000 mails through a server, with a table at the end"; fi
    if has tests/bench/__main__; then echo "  bench [ARGS]          measure; --list names the rows, --peer postfix measures Postfix beside us"; fi
    echo "  fuzz [ARGS]           feed the parsers what nobody expects; --seconds N, --target NAME"
    if has tests/faults; then echo "  faults [ARGS]         kill, cut the power, fill the disk, many times"; fi
    cat <<EOF
  debug [test [ARGS]]   build with assertions and sanitizers; test with them
  install --prefix DIR  copy what runs to DIR
EOF
    echo "  manual [ARGS]         write the pages of options; --check DIR loads every example of a manual"
    echo "  clean                 remove what was built; spool and logs in var/ stay"
}

say() { echo "build.sh: $*" >&2; }

# Install the Debian packages that are missing.
packages() {
    local missing
    # shellcheck disable=SC2086
    missing=$(comm -23 <(printf '%s\n' "$@" | sort -u) \
        <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | sort -u))
    [ -z "$missing" ] && return
    missing=$(echo $missing)
    local apt="apt-get install -y --no-install-recommends $missing"
    say "installing $missing"
    if [ "$(id -u)" = 0 ]; then
        { apt-get -q update && DEBIAN_FRONTEND=noninteractive $apt; } >&2
    elif sudo -n true 2>/dev/null; then
        { sudo -n apt-get -q update && sudo -n DEBIAN_FRONTEND=noninteractive $apt; } >&2
    else
        say "these packages need root; run this, then try again:"
        echo "sudo $apt"
        exit 3
    fi
}

make_venv() {
    local stamp=$venv/.requirements
    [ "$stamp" -nt "$root/requirements.txt" ] && [ -x "$python" ] && return
    say "making .venv"
    /usr/bin/python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$root/requirements.txt" >&2
    touch "$stamp"
}

# Whether something that goes into the extensions is newer than a stamp.
stale() {
    [ -e "$1" ] || return 0
    [ -n "$(find "$root/core" "$root/pymomentum/options" "$root/pymomentum/hooks.py" "$root/pymomentum/idgen.py" \
        "$root/pymomentum/VERSION" "$root/setup.py" "$root/requirements.txt" \
        \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.py' -o -name '*.h' -o -name VERSION -o -name '*.txt' \) \
        -newer "$1" -print -quit)" ]
}

# compile KIND: KIND is release or debug; both build into the same tree, so a change of kind builds all.
compile() {
    local stamp=$stamps/$1 other=$stamps/release began=$SECONDS log=$root/build/log
    [ "$1" = release ] && other=$stamps/debug
    local force=()
    if [ -e "$other" ]; then rm -f "$other" "$stamp"; force=(--force); fi
    stale "$stamp" || return 0
    mkdir -p "$stamps"
    say "compiling ($1)"
    touch "$stamp.new"
    if ! (cd "$root" && EC_BUILD=${1/release/} "$python" setup.py -q build_ext --inplace "${force[@]}" >"$log" 2>&1); then
        grep -v '^\[' "$log" | tail -60 >&2
        say "the build failed; all of its output is in build/log"
        exit 1
    fi
    mv "$stamp.new" "$stamp"
    say "compiled in $((SECONDS - began)) s"
}

# shims FROM-PYTHON LIBRARY TO: a command in TO for every module of pymomentum/commands in LIBRARY.
shims() {
    local module name
    for module in "$2"/pymomentum/commands/[a-z]*.py; do
        name=$(basename "$module" .py)
        cat >"$3/$name" <<EOF
#!/bin/sh
PYTHONPATH="$2\${PYTHONPATH:+:\$PYTHONPATH}" exec "$1" -P -m pymomentum.commands.$name "\$@"
EOF
        chmod 755 "$3/$name"
    done
}

build() {
    # shellcheck disable=SC2086
    packages $for_build "$@"
    make_venv
    compile release
    shims "$python" "$root" "$venv/bin"
}

run() {
    build
    cd "$root"
    cat >&2 <<EOF
Mail goes in at 127.0.0.1:2525, and goes out from here to the hosts that DNS names:
    swaks --server 127.0.0.1:2525 --from you@example.com --to somebody@example.com
Look at it:      .venv/bin/ec_console var/run/2025 summary
                 tail -f var/log/mainlog.ec
Stop it with ^C; what is queued waits in var/spool for the next start.
EOF
    exec "$venv/bin/ecelerity" -d -c conf/default/ecelerity.conf "$@"
}

debug() {
    # shellcheck disable=SC2086
    packages $for_build $for_test
    make_venv
    compile debug
    shims "$python" "$root" "$venv/bin"
    [ "${1:-}" = test ] || return 0
    shift
    cd "$root"
    # Python itself is not instrumented and keeps memory to its end
    # shellcheck disable=SC2086
    LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
        ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc UBSAN_OPTIONS=print_stacktrace=1 \
        exec "$python" -m pytest $pytest "$@"
}

install_to() {
    [ "${1:-}" = --prefix ] && [ -n "${2:-}" ] || { usage >&2; exit 2; }
    build
    local prefix
    mkdir -p "$2"
    prefix=$(cd "$2" && pwd)
    mkdir -p "$prefix/lib" "$prefix/bin" "$prefix/etc/conf"
    /usr/bin/python3 -m venv "$prefix/lib/venv"
    grep -Ev '^(cython|setuptools|dkimpy|pytest)' "$root/requirements.txt" >"$prefix/lib/requirements.txt"
    "$prefix/lib/venv/bin/pip" install -q --disable-pip-version-check -r "$prefix/lib/requirements.txt" >&2
    rm -rf "$prefix/lib/pymomentum"
    (cd "$root" && find -L pymomentum -type f \( -name '*.py' -o -name '*.so' -o -name '*.lua' -o -name VERSION \) -print0 |
        tar -c --null --dereference -T -) | tar -x -C "$prefix/lib"
    # what is there already may have been edited
    cp -Rn "$root/conf/default" "$root/conf/examples" "$prefix/etc/conf/"
    shims "$prefix/lib/venv/bin/python" "$prefix/lib" "$prefix/bin"
    (cd / && "$prefix/bin/validate_config" -c "$prefix/etc/conf/default/ecelerity.conf")
}

module() {
    local name=$1
    shift
    cd "$root"
    exec "$python" -m "$name" "$@"
}

clean() {
    rm -rf "$root/build" "$venv"
    find "$root/core" -name '*.so' -delete
    find "$root/core" "$root/pymomentum" "$root/tests" -name __pycache__ -prune -exec rm -rf {} +
}

word=${1:-}
[ $# -gt 0 ] && shift
case $word in
    run) run "$@" ;;
    build) build ;;
    # shellcheck disable=SC2086
    test) build $for_test; module pytest $pytest "$@" ;;
    fuzz) build; module tests.fuzz.run "$@" ;;
    debug) debug "$@" ;;
    install) install_to "$@" ;;
    clean) clean ;;
    demo) has tests/demo || { usage; exit 2; }; build; module tests.demo "$@" ;;
    # shellcheck disable=SC2086
    bench) has tests/bench/__main__ || { usage; exit 2; }; build $for_bench; module tests.bench "$@" ;;
    faults) has tests/faults || { usage; exit 2; }; build; module tests.faults "$@" ;;
    manual) build; module pymomentum.reference "$@" ;;
    "") usage ;;
    *) say "unknown word $word"; usage >&2; exit 2 ;;
esac
