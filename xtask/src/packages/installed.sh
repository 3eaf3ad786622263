# Installs the Debian package $1 in a copy of this system, runs its service there on the port $2, and removes it again.
set -eu
package=$1 port=$2

. "$(dirname "$0")/copy.sh"
# The copy does not see the services of the real system, which the scripts of the package must not touch.
mount -t tmpfs tmpfs "$space/all/run"
cp "$package" "$space/all/root/package.deb"

inside dpkg --install /root/package.deb
unit=/lib/systemd/system/cortensor-router.service
if inside sh -c 'command -v systemd-analyze' >/dev/null; then
    inside systemd-analyze verify "$unit" || fail "systemd does not accept the unit"
fi
test "$(stat -c %a "$space/all/etc/default/cortensor-router")" = 600 || fail "others can read the secrets"

test -s "$space/all/usr/share/man/man1/cortensor-router-serve.1" || fail "the manual is not there"
grep -q CORTENSOR_COMPLETE "$space/all/usr/share/bash-completion/completions/cortensor-router" || fail "no completions"

# A change of the administrator survives another installation.
echo "CORTENSOR_LISTEN_PORT=$port" >>"$space/all/etc/default/cortensor-router"
inside dpkg --install /root/package.deb
grep -q "^CORTENSOR_LISTEN_PORT=$port$" "$space/all/etc/default/cortensor-router" || fail "a setting was overwritten"

# The service, as systemd would run it: its user, its directory, its variables.
# systemd shows the service its directory below /var/lib/private, which is closed to everybody else.
install -d -m 0755 "$space/all/var/lib/private"
inside install -d -m 0700 -o nobody /var/lib/private/cortensor-router
ln -s private/cortensor-router "$space/all/var/lib/cortensor-router"
start=$(sed -n 's/^ExecStart=//p' "$space/all$unit")
places=$(sed -n 's/^Environment=//p' "$space/all$unit")
chroot "$space/all" setpriv --reuid nobody --clear-groups env $places "CORTENSOR_LISTEN_PORT=$port" $start &
service=$!
until_ready "the service"

ask() {
    curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/v1/chat/completions" -H "Authorization: Bearer $1" \
        -H 'Content-Type: application/json' -d '{"messages": [{"role": "user", "content": "Hello there"}]}'
}
test "$(ask default-dev-token)" = 401 || fail "the development token works on a service"
key=$(inside cortensor-router key create --data-dir /var/lib/cortensor-router --name app | tail -n 1)
test "$(ask "$key")" = 200 || fail "a new key does not work"

kill -TERM "$service"
wait "$service" || fail "the service ended with $?"

inside dpkg --purge cortensor-router
for left in /usr/bin/cortensor-router "$unit" /etc/cortensor-router /etc/default/cortensor-router \
    /var/lib/cortensor-router /var/lib/private/cortensor-router /usr/share/doc/cortensor-router; do
    [ ! -e "$space/all$left" ] || fail "$left is left behind"
done
echo "installed, started, upgraded and purged"
