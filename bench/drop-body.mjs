// An HTTP server that reads a body and drops it: the floor of what a request costs.
import { createServer } from 'node:http';

const answer = Buffer.alloc(16);
createServer((request, response) => {
  request.on('data', () => {});
  request.on('end', () => {
    response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': '16' });
    response.end(answer);
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
