/**
 * A certificate for `localhost` that nobody has to believe but the tests, until 2126. Made by `openssl req -x509 -newkey ec
 * -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj /CN=localhost -addext "subjectAltName=DNS:localhost,IP:127.0.0.1"`.
 */

export const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgK7HYgCyvjG6/hZ1T
i9d045KDoEuBmO7myjnf9L4YnzyhRANCAARS54uD3CVR8NNV+X/LMrAJHVNMvc/W
0Eqgtj47y2XK7LZbRxyMBzLfrpf3LTnmmu93KigSgjDjXXL3k1GP9TEa
-----END PRIVATE KEY-----
`

export const cert = `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUKj6y+KxFAV2milczDn9RqDNKBTwwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNjIyMTI0N1oYDzIxMjYxMTAy
MjIxMjQ3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARS54uD3CVR8NNV+X/LMrAJHVNMvc/W0Eqgtj47y2XK7LZbRxyMBzLf
rpf3LTnmmu93KigSgjDjXXL3k1GP9TEao28wbTAdBgNVHQ4EFgQU2HIFyX0Y+8s6
9cMpkEbkl2EIr5IwHwYDVR0jBBgwFoAU2HIFyX0Y+8s69cMpkEbkl2EIr5IwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAJM+1eF+jCt+5Wht04O95dv4Udz992/5K8OOcJS47W3bAiEA
4ngxejvRFcrLK7P4BEUspPmr0ibcgIMj27i0BswA2/8=
-----END CERTIFICATE-----
`
