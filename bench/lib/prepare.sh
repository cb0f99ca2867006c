# prepare.sh — what the commands in bench/ do first; sourced by them, with `top` set. Sets `build` and `work`.
build=$top/build/bench

# What was started has its id and the time of its start in one file; an id counts only while that time still fits.
stop_all() {
    local pid began fields
    while read -r pid began; do
        fields=$(cat "/proc/$pid/stat" 2>/dev/null) || continue
        read -ra fields <<<"${fields##*) }"
        [ "${fields[19]}" != "$began" ] || kill -TERM "$pid" 2>/dev/null || true
    done < <(cat "$work/processes" 2>/dev/null)
    rm -f "$work/processes"
}

# prepare DIRECTORY ARGUMENT…: what everything is written into, and the command line: --help ends here
prepare() {
    local argument
    work=$1
    shift
    for argument in "$@"; do
        case $argument in
            -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        esac
    done
    mkdir -p "$work"
    stop_all # of a run that was cut off
    trap stop_all EXIT
    trap 'exit 130' INT TERM
}

# Packages, a release build, the load generator and the origin. Arguments: sections of packages.txt
build_programs() {
    "$top/cmake/install_packages.sh" build "$@"
    echo "Building …" >&2
    if ! { cmake -S "$top" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DMOONGATE_BENCH=ON &&
        cmake --build "$build" --target moongate_bin moongate_load moongate_bench_origin; } >"$work/build.log" 2>&1; then
        tail -n 40 "$work/build.log" >&2
        exit 1
    fi
}
