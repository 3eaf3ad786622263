# Carries the steps of a Containerfile out in a copy of this system, without a daemon, and starts what it describes.
#   image.sh CONTAINERFILE CONTEXT PORT
# FROM is not carried out: the copy of this system stands for the image that it names.
set -eu
file=$1 context=$2 port=$3

. "$(dirname "$0")/copy.sh"

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
until_ready "the container's program"
test "$(curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer secret' \
    "http://127.0.0.1:$port/api/v1/status")" = 200 || fail "its token does not work"
test -f "$space/all/var/lib/cortensor-router/router.db" || fail "the tasks are not in the volume"
kill -TERM "$service"
wait "$service" || fail "it ended with $?"
echo "built, started and stopped"
