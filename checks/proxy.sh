#!/usr/bin/env bash
# The reverse proxy in front of a real nginx, started by its documented line and asked with curl.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin
export NO_COLOR=1
folder=$(mktemp -d)
nginx=""
documented=""
# What serves is beneath npx, its shell and tsx.
serving() {
  local pid
  for pid in $(cat "/proc/$1/task/"*/children 2> /dev/null); do
    if grep -q reverse-proxy.ts "/proc/$pid/cmdline"; then
      serving "$pid"
      return
    fi
  done
  echo "$1"
}
end() {
  [ -z "$nginx" ] || kill "$nginx" 2> /dev/null || true
  [ -z "$documented" ] || kill "$(serving "$documented")" 2> /dev/null || true
  wait
  rm -rf "$folder"
}
trap end EXIT

if ! command -v nginx > /dev/null; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends nginx
  # Where services run, the package has just started one of its own.
  [ ! -s /run/nginx.pid ] || service nginx stop
  [ ! -s /run/nginx.pid ]
fi

read -r nginx_port port < <(npx tsx checks/freePorts.ts 2)

# What nginx serves: each line of text is another, so that a part is right only in its place.
files=$folder/files
mkdir -p "$files/brief"
seq 18500 > "$files/text.txt"
for name in cold-range.txt cold-head.txt zipped.txt brief/stale.txt; do cp "$files/text.txt" "$files/$name"; done
head -c 200M /dev/urandom > "$files/big.bin"
find "$files" -type f -exec touch -d "2020-01-01T00:00:00Z" {} +
chmod 755 "$folder"
text=$files/text.txt
size=$(stat -c %s "$text")
big_size=$(stat -c %s "$files/big.bin")

cat > "$folder/nginx.conf" <<CONF
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {}
http {
  log_format asked '\$request_method \$uri \$status \$http_range';
  access_log access.log asked;
  client_body_temp_path temp-body;
  proxy_temp_path temp-proxy;
  fastcgi_temp_path temp-fastcgi;
  scgi_temp_path temp-scgi;
  uwsgi_temp_path temp-uwsgi;
  types { text/plain txt; application/octet-stream bin; }
  gzip on;
  gzip_types text/plain;
  gzip_vary on;
  # The proxy sends Via, for which nginx would not compress.
  gzip_proxied any;
  server {
    listen 127.0.0.1:$nginx_port;
    root files;
    location / { add_header Cache-Control "max-age=60"; }
    location /brief/ { add_header Cache-Control "max-age=1"; }
  }
}
CONF
nginx -p "$folder/" -c nginx.conf 2> "$folder/nginx.log" &
nginx=$!

# Its documented line, but for the two settings.
command=$(sed -n 's/.*`ORIGIN=.* PORT=[0-9]* \(npx .*\)`$/\1/p' examples/reverse-proxy.ts)
ORIGIN=http://127.0.0.1:$nginx_port PORT=$port $command > "$folder/proxy.log" 2>&1 &
documented=$!
for _ in $(seq 300); do
  if grep -q "Listening on" "$folder/proxy.log"; then break; fi
  if ! kill -0 "$documented" 2> /dev/null; then break; fi
  sleep 0.1
done
if ! grep -q "Listening on" "$folder/proxy.log" || ! kill -0 "$nginx"; then
  echo "FAILED: nginx and the proxy start: $command"
  cat "$folder/nginx.log" "$folder/proxy.log"
  exit 1
fi
proxy=$(serving "$documented")

# ask CURL-OPTION... PATH: leaves the head and the body of the answer
ask() {
  asked="curl ${*:1:$#-1} http://127.0.0.1:$port${!#}"
  : | tee "$folder/head" > "$folder/body"
  curl --silent --show-error --max-time 20 --dump-header "$folder/head" --output "$folder/body" \
    "${@:1:$#-1}" "http://127.0.0.1:$port${!#}" 2> "$folder/curl" || fail "an answer" "$(cat "$folder/curl")"
}
status() { sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$folder/head"; }
field() { sed -n "s/^$1: \(.*\)\r\$/\1/Ip" "$folder/head"; }

fail() {
  printf 'FAILED: %s\n%s\nexpected %s\ncame     %s\n\n' "$what" "$asked" "$1" "$2"
  cat "$folder/head" || true
  tail -n 5 "$folder/access.log" "$folder/error.log" "$folder/proxy.log" || true
  exit 1
}
# has WHICH PATTERN CAME: the pattern is one of bash's; what is quoted in it is literal
has() {
  # shellcheck disable=SC2053
  [[ "$3" == $2 ]] || fail "$1: $2" "$3"
}
is() { [ "$3" = "$2" ] || fail "$1: $2" "$3"; }
# content FILE [FIRST LAST]: the body is that file, or that part of it
content() {
  local first=${2:-0} last=${3:-$(($(stat -c %s "$1") - 1))}
  if ! cmp "$folder/body" <(tail -c "+$((first + 1))" "$1" | head -c "$((last - first + 1))") > "$folder/cmp" 2>&1; then
    fail "a body that is bytes $first to $last of ${1##*/}" "$(stat -c %s "$folder/body") bytes; $(cat "$folder/cmp")"
  fi
}
whole() {
  is status 200 "$(status)"
  is Content-Length "$size" "$(field content-length)"
  is Content-Range "" "$(field content-range)"
  content "$text"
}
hit() { has Cache-Status '*; hit; ttl=*' "$(field cache-status)"; }
no_hit() { has Cache-Status '*; fwd=*' "$(field cache-status)"; }
check() { what=$1; }
ok() { echo "ok: $what${1:+ ($1)}"; }

check "a miss, then a hit"
ask /text.txt
whole
has Cache-Status '*; fwd=uri-miss' "$(field cache-status)"
etag=$(field etag)
modified=$(field last-modified)
has ETag '"*"' "$etag"
is Last-Modified "Wed, 01 Jan 2020 00:00:00 GMT" "$modified"
ask /text.txt
whole
hit
is ETag "$etag" "$(field etag)"
is Last-Modified "$modified" "$(field last-modified)"
ok

# range NAME SPEC FIRST LAST
range() {
  check "$1: bytes=$2"
  ask --header "Range: bytes=$2" /text.txt
  is status 206 "$(status)"
  hit
  is Content-Range "bytes $3-$4/$size" "$(field content-range)"
  is Content-Length "$(($4 - $3 + 1))" "$(field content-length)"
  is Content-Type text/plain "$(field content-type)"
  is ETag "$etag" "$(field etag)"
  content "$text" "$3" "$4"
  ok
}
range "a single range of what is stored" 1000-1999 1000 1999
range "a suffix" -500 $((size - 500)) $((size - 1))
range "an open range" 90000- 90000 $((size - 1))
range "a range that ends beyond the end" 90000-999999 90000 $((size - 1))

check "two ranges: bytes=0-99,5000-5999"
ask --header "Range: bytes=0-99,5000-5999" /text.txt
is status 206 "$(status)"
hit
has Content-Type 'multipart/byteranges; boundary=*' "$(field content-type)"
is Content-Range "" "$(field content-range)"
is Content-Length "$(stat -c %s "$folder/body")" "$(field content-length)"
parts=$(node - "$folder/body" "$text" "$(field content-type)" 2>&1 <<'JS'
const [body, text] = process.argv.slice(2, 4).map((path) => require("fs").readFileSync(path, "latin1"))
const boundary = /boundary="?([^"]*)"?$/.exec(process.argv[4])[1]
const [preamble, ...parts] = `\r\n${body}`.split(`\r\n--${boundary}`)
const end = parts.pop()
for (const part of parts) {
  const [, fields, content] = /^\r\n((?:[^\r\n]+\r\n)*)\r\n([^]*)$/.exec(part)
  const range = /^content-range: *(bytes (\d+)-(\d+)\/\d+)\r$/im.exec(fields)
  const type = /^content-type: *(.*)\r$/im.exec(fields)
  const isRight = content === text.slice(Number(range[2]), Number(range[3]) + 1)
  console.log(`${type[1]}; ${range[1]}; ${isRight ? "right" : "wrong"} bytes`)
}
if (preamble.trim() !== "" || end.trim() !== "--") console.log(JSON.stringify({ preamble, end }))
JS
) || true
is parts "text/plain; bytes 0-99/$size; right bytes
text/plain; bytes 5000-5999/$size; right bytes" "$parts"
ok

check "a range that can't be satisfied: 416"
ask --header "Range: bytes=$size-" /text.txt
is status 416 "$(status)"
is Content-Range "bytes */$size" "$(field content-range)"
is body "" "$(head -c 100 "$folder/body")"
ok

for right in "$etag" "$modified"; do
  check "If-Range: $right, which is right: the part"
  ask --header "Range: bytes=10-19" --header "If-Range: $right" /text.txt
  is status 206 "$(status)"
  hit
  is Content-Range "bytes 10-19/$size" "$(field content-range)"
  content "$text" 10 19
  ok
done
for wrong in '"another"' "Wed, 01 Jan 2020 00:00:01 GMT"; do
  check "If-Range: $wrong, which is wrong: the whole"
  ask --header "Range: bytes=10-19" --header "If-Range: $wrong" /text.txt
  whole
  hit
  ok
done

for condition in "If-None-Match: $etag" "If-None-Match: \"another\", W/$etag" "If-Modified-Since: $modified"; do
  check "$condition: 304"
  ask --header "$condition" /text.txt
  is status 304 "$(status)"
  hit
  is ETag "$etag" "$(field etag)"
  is body "" "$(head -c 100 "$folder/body")"
  ok
done
for condition in 'If-None-Match: "another"' "If-Modified-Since: Tue, 31 Dec 2019 23:59:59 GMT"; do
  check "$condition: the whole"
  ask --header "$condition" /text.txt
  whole
  hit
  ok
done

# Without the length curl reads until the connection is closed: it would see a body.
head_of() { ask --request HEAD --ignore-content-length --header "Connection: close" "$1"; }
check "HEAD of what isn't stored: the same length, no body"
head_of /cold-head.txt
is status 200 "$(status)"
no_hit
is Content-Length "$size" "$(field content-length)"
is body "" "$(head -c 100 "$folder/body")"
ask /cold-head.txt
whole
no_hit
ok
check "HEAD of what is stored: the same length, no body"
head_of /text.txt
is status 200 "$(status)"
hit
is Content-Length "$size" "$(field content-length)"
is ETag "$etag" "$(field etag)"
is body "" "$(head -c 100 "$folder/body")"
ok

check "gzip for whom accepts it, the file as it is for whom doesn't, and never the other"
for expected in no_hit hit hit; do
  ask --header "Accept-Encoding: gzip" /zipped.txt
  is status 200 "$(status)"
  $expected
  is Content-Encoding gzip "$(field content-encoding)"
  has Vary '*Accept-Encoding*' "$(field vary)"
  zipped_etag=$(field etag)
  cp "$folder/body" "$folder/zipped"
  gzip -dc "$folder/zipped" > "$folder/unzipped" || fail "gzip" "$(head -c 100 "$folder/zipped")"
  cp "$folder/unzipped" "$folder/body"
  content "$text"
  ask --header "Accept-Encoding: identity" /zipped.txt
  whole
  $expected
  is Content-Encoding "" "$(field content-encoding)"
  has Vary '*Accept-Encoding*' "$(field vary)"
  identity_etag=$(field etag)
  [[ $zipped_etag != "$identity_etag" || $zipped_etag == W/* ]] || fail "two tags, or weak ones" "twice $zipped_etag"
  ask /zipped.txt
  whole
  is Content-Encoding "" "$(field content-encoding)"
done
ok
check "a part of what is stored in gzip, and 304 by its tag"
ask --header "Accept-Encoding: gzip" --header "Range: bytes=100-199" /zipped.txt
is status 206 "$(status)"
hit
is Content-Encoding gzip "$(field content-encoding)"
is Content-Range "bytes 100-199/$(stat -c %s "$folder/zipped")" "$(field content-range)"
content "$folder/zipped" 100 199
ask --header "Accept-Encoding: gzip" --header "If-None-Match: $zipped_etag" /zipped.txt
is status 304 "$(status)"
hit
is ETag "$zipped_etag" "$(field etag)"
ok

check "a range of what isn't stored goes through, and is not kept as the whole"
ask --header "Range: bytes=1000-1999" /cold-range.txt
is status 206 "$(status)"
no_hit
is Content-Range "bytes 1000-1999/$size" "$(field content-range)"
content "$text" 1000 1999
is "the origin's log" "GET /cold-range.txt 206 bytes=1000-1999" "$(tail -n 1 "$folder/access.log")"
ask /cold-range.txt
whole
no_hit
ask /cold-range.txt
whole
hit
ok

check "what is stale is validated: the origin answers 304, the client gets the whole"
ask /brief/stale.txt
whole
sleep 1.1
ask /brief/stale.txt
whole
has Cache-Status '*; fwd=stale; fwd-status=304; stored' "$(field cache-status)"
is "the origin's log" "GET /brief/stale.txt 304 -" "$(tail -n 1 "$folder/access.log")"
ok

resident() { awk '/^VmRSS:/ { print $2 }' "/proc/$proxy/status"; }
# growth COMMAND...: runs it four times at once, and says how much more memory the proxy had meanwhile, in KiB
growth() {
  local before most now downloads=() n
  before=$(resident)
  most=$before
  for n in 1 2 3 4; do
    "$@" "$n" > "$folder/download-$n" 2>&1 &
    downloads+=($!)
  done
  while kill -0 "${downloads[@]}" 2> /dev/null; do
    now=$(resident)
    [ "$now" -le "$most" ] || most=$now
    sleep 0.05
  done
  wait "${downloads[@]}" || true
  grown=$((most - before))
}
limit=$((64 * 1024))

check "four downloads of 200 MB at once, as fast as they can: less than 64 MiB more memory"
asked="curl http://127.0.0.1:$port/big.bin, four times"
fast() {
  curl --silent --show-error --max-time 60 --output /dev/null --write-out '%{http_code} %{size_download}' \
    "http://127.0.0.1:$port/big.bin"
}
growth fast
for n in 1 2 3 4; do is "download $n" "200 $big_size" "$(cat "$folder/download-$n")"; done
[ "$grown" -lt "$limit" ] || fail "less than $limit KiB more" "$grown KiB more"
ok "$grown KiB"

check "four at once that take 40 MB a second and compare each byte: less than 64 MiB more memory"
asked="curl --limit-rate 40M http://127.0.0.1:$port/big.bin?N, four times"
slow() {
  curl --silent --show-error --fail --max-time 60 --limit-rate 40M "http://127.0.0.1:$port/big.bin?$1" |
    cmp - "$files/big.bin" && echo same
}
growth slow
for n in 1 2 3 4; do is "download $n" same "$(cat "$folder/download-$n")"; done
[ "$grown" -lt "$limit" ] || fail "less than $limit KiB more" "$grown KiB more"
ok "$grown KiB"

kill "$nginx"
wait "$nginx" || true
nginx=""

check "no origin: 502 for what isn't stored"
ask /nothing.txt
is status 502 "$(status)"
no_hit
ask /big.bin
is status 502 "$(status)"
ok
check "no origin: what is fresh is a hit"
ask /text.txt
whole
hit
ok
check "no origin: what is stale stands in"
sleep 1.1
ask /brief/stale.txt
whole
has Cache-Status '*; fwd=stale; fwd-status=502*' "$(field cache-status)"
[ "$(field age)" -ge 1 ] || fail "an age" "$(field age)"
ok

kill "$proxy"
wait "$documented" || true
documented=""
if curl --silent --max-time 2 --output /dev/null "http://127.0.0.1:$port/text.txt"; then
  echo "the proxy is still there after SIGTERM"
  exit 1
fi
echo "the reverse proxy answers as nginx would, from what it has stored, and streams what is large"
