// A publish in a process of its own, so that it can be killed and its memory be measured: `<kind> <uri> <part bytes> <file>`.
// It prints a line for each part, and how much memory it has had at most.
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { gcsObjectStore } from '../../../runtime/model/stores/gcs-object-store';
import { objectModelStore } from '../../../runtime/model/stores/object-model-store';
import { s3ObjectStore } from '../../../runtime/model/stores/s3-object-store';

async function main([kind, uri, parts, localPath]: readonly string[]): Promise<void> {
  const partBytes = Number(parts);
  const objects =
    kind === 'gs' ? gcsObjectStore(uri!, { chunkBytes: partBytes }) : await s3ObjectStore('s3', uri!, { partBytes });
  const hash = createHash('sha256');
  await pipeline(createReadStream(localPath!), hash);
  const sha256 = hash.digest('hex');
  const weights = { path: 'weights.bin', bytes: statSync(localPath!).size, sha256, localPath: localPath! };
  const content = Buffer.from('{}');
  const digest = createHash('sha256').update(content).digest('hex');
  const manifest = { path: 'manifest.json', bytes: content.byteLength, sha256: digest, content };
  await objectModelStore(objects).write('m', 1, [weights], manifest, (_, bytes, wereThere) =>
    process.stdout.write(`part ${bytes} ${wereThere}\n`),
  );
  process.stdout.write(`peak ${process.resourceUsage().maxRSS * 1024}\n`);
}

void main(process.argv.slice(2));
