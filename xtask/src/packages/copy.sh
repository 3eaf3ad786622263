# Sourced by the scripts beside it. Makes a copy of this system below $space/all, which takes all writes. The scripts
# run as root in a mount namespace of their own: nothing that they write reaches the real disk.

fail() { echo "${0##*/}: $*" >&2; exit 1; }

space=$(mktemp -d)
mount -t tmpfs tmpfs "$space"
mkdir "$space/upper" "$space/work" "$space/all"
mount -t overlay overlay -o "lowerdir=/,upperdir=$space/upper,workdir=$space/work" "$space/all"
mount --rbind /dev "$space/all/dev"
mount --rbind /proc "$space/all/proc"
inside() { chroot "$space/all" "$@"; }

# Waits until the process $service is ready on the port $port. A complaint calls it $1.
until_ready() {
    tries=0
    until curl -sf "http://127.0.0.1:$port/readyz" >/dev/null; do
        kill -0 "$service" 2>/dev/null || fail "$1 has ended"
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || fail "$1 is not ready"
        sleep 0.1
    done
}
