# Carries the steps of a Containerfile out in a copy of this system, without a daemon, and starts what it describes.
#   image.sh CONTAINERFILE CONTEXT PORT
# Runs as root in a mount namespace of its own. FROM is not carried out: the copy of this system stands for the image
# that it names.
set -eu
file=$1 context=$2 port=$3

fail() { echo "image.sh: $*" >&2; exit 1; }

space=$(mktemp -d)
mount -t tmpfs tmpfs "$space"
mkdir "$space/upper" "$space/work" "$space/all"
mount -t overlay overlay -o "lowerdir=/,upperdir=$space/upper,workdir=$space/work" "$space/all"
mount --rbind /dev "$space/all/dev"
mount --rbind /proc "$space/all/proc"
inside() { chroot "$space/all" "$@"; }

user=root variables='' entry='' arguments=''
# The words of a list in JSON, as ENTRYPOINT and CMD have it.
words() { printf '%s' "$1" | sed 's/^\[//; s/\]$//; s/", *"/ /g; s/"//g'; }

while IFS= read -r line; do
    case $line in
    '' | '#'*) continue ;;
    esac
    step=${line%% *} rest=${line#* }
    case $step in
    FROM | VOLUME | EXPOSE | STOPSIGNAL) ;;
    COPY)
        for to in $rest; do :; done
        for from in ${rest% *}; do cp -r "$context/$from" "$space/all$to"; done
        ;;
    RUN) inside sh -ec "$rest" || fail "RUN $rest" ;;
    USER) user=$rest ;;
    ENV) variables="$variables $rest" ;;
    ENTRYPOINT) entry=$(words "$rest") ;;
    CMD) arguments=$(words "$rest") ;;
    *) fail "this step is unknown: $line" ;;
    esac
done <"$file"

# As the chart has it: no rights, and a port that is free here.
start="env $variables CORTENSOR_LISTEN_PORT=$port CORTENSOR_LISTEN_TOKEN=secret $entry $arguments"
chroot "$space/all" setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs $start &
service=$!
tries=0
until curl -sf "http://127.0.0.1:$port/readyz" >/dev/null; do
    kill -0 "$service" 2>/dev/null || fail "the container's program has ended"
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || fail "it is not ready"
    sleep 0.1
done
test "$(curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer secret' "http://127.0.0.1:$port/api/v1/status")" = 200 ||
    fail "its token does not work"
test -f "$space/all/var/lib/cortensor-router/router.db" || fail "the tasks are not in the volume"
kill -TERM "$service"
wait "$service" || fail "it ended with $?"
echo "built, started and stopped"
