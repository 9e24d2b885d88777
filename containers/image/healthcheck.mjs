/**
 * The container's health check: exit 0 while the server on this host answers `/livez` with 200, exit 1 otherwise.
 * A program rather than curl, because the image needs neither curl nor a shell.
 */
// Below the five seconds that the Dockerfile gives the whole check, so that the reason still gets printed.
const TIMEOUT_MS = 4_000;

// Set but empty is not set, as for the server.
const port = Number(process.env.SLIPWAY_HTTP_PORT || 8080);

const { get } = await import(process.env.SLIPWAY_TLS_CERTIFICATE ? 'node:https' : 'node:http');

// Whether it answers is the question, on this host; whose certificate it has is for its clients to ask.
const options = {
  host: '127.0.0.1',
  port,
  path: '/livez',
  timeout: TIMEOUT_MS,
  agent: false,
  rejectUnauthorized: false,
};
const request = get(options, (response) => {
  response.resume();
  if (response.statusCode === 200) process.exit(0);
  fail(`/livez answered ${response.statusCode}`);
});
request.on('timeout', () => fail(`/livez did not answer within ${TIMEOUT_MS / 1_000} seconds`));
request.on('error', (error) => fail(`/livez on port ${port}: ${error.message}`));

function fail(reason) {
  console.error(reason);
  process.exit(1);
}
