#!/bin/sh
# tools/fuzz.sh replay FOLDER            every target of FOLDER over its corpus (and the MIME target over ../shared/corpus/mail when that is there)
# tools/fuzz.sh run FOLDER SECONDS NAME… libFuzzer for so long each; new inputs stay in FOLDER, a finding is kept in FOLDER/found and shown. One line a target.
set -eu
what=$1 folder=$2
shared=../shared/corpus/mail
[ -d "$shared" ] || shared=/work/shared/corpus/mail
failed=0
case $what in
replay)
    for target in "$folder"/*_fuzz; do
        name=$(basename "$target" _fuzz)
        more=
        [ "$name" = mime ] && [ -d "$shared" ] && more=$shared
        ASAN_OPTIONS=detect_leaks=1:${ASAN_OPTIONS:-} "$target" "tests/fuzz/corpus/$name" $more || { echo "fuzz-replay: $name FAILED"; failed=1; }
    done
    ;;
run)
    seconds=$3
    shift 3
    mkdir -p "$folder/found"
    for name in "$@"; do
        grown=$folder/corpus-$name log=$folder/$name.log words=
        mkdir -p "$grown"
        [ -f "tests/fuzz/$name.dict" ] && words=-dict=tests/fuzz/$name.dict
        [ "$name" = mime ] && [ -d "$shared" ] && find "$shared" -type f -size -3k -exec cp -n -t "$grown" {} + 2>/dev/null
        if "$folder/${name}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 $words \
            -artifact_prefix="$folder/found/$name-" "$grown" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
            printf '%-10s ok      %s\n' "$name" "$(awk '/number_of_executed_units/{n=$2} /average_exec_per_sec/{a=$2} /peak_rss_mb/{r=$2} / cov: /{for(i=1;i<NF;i++)if($i=="cov:")c=$(i+1)} END{print n" inputs, "a"/s, "c" edges, "r" MB"}' "$log")"
        else
            printf '%-10s FAILED  %s\n' "$name" "$(grep -m1 -E 'ERROR|SUMMARY|timeout|deadly' "$log" || tail -1 "$log") (see $log)"
            failed=1
        fi
    done
    ;;
*) echo "tools/fuzz.sh: replay or run" >&2; exit 2 ;;
esac
exit $failed
