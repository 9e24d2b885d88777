/**
 * Downloads ONNX Runtime's CUDA provider into an installed onnxruntime-node and checks it against a recorded SHA-256.
 *
 *     ONNXRUNTIME_CUDA_SHA256=… [ONNXRUNTIME_CUDA_URL=…] node fetch-cuda.mjs <path of onnxruntime-node>
 *
 * onnxruntime-node's own install script fetches the same file and verifies nothing. Which file, from which feed and
 * where to is read from that script's tables, so it is always the one that belongs to the installed version.
 */
import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';

const PLATFORM = 'linux/x64';
const MANIFEST = `${PLATFORM}:cuda12`;
const MIB = 1_048_576;

// The package of 1.30.0 is a little over 400 MB. The archive is unpacked in memory, where Node's limit is 2 GiB.
const LIMITS = { maxBytes: 1_024 * MIB, maxIndexBytes: 4 * MIB, idleSeconds: 60, totalSeconds: 3_600 };

/**
 * @param {object} options
 * @param {string} options.packageDirectory the installed onnxruntime-node
 * @param {string} options.sha256 the recorded digest of the archive; empty while nobody has recorded one
 * @param {string} [options.url] of the archive; by default the feed that onnxruntime-node names
 * @param {Partial<typeof LIMITS>} [options.limits]
 * @param {(line: string) => void} [options.log]
 * @returns {Promise<string[]>} the files written
 * @throws Error without a recorded digest (naming the one seen), on a wrong one, and past any limit; no file is written
 */
export async function fetchCuda({ packageDirectory, sha256, url, limits = {}, log = console.log }) {
  const bounds = { ...LIMITS, ...limits };
  if (sha256 !== '' && !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new Error(`ONNXRUNTIME_CUDA_SHA256 must be 64 lower-case hexadecimal digits, got '${sha256}'`);
  }
  const require = createRequire(join(resolve(packageDirectory), 'package.json'));
  const metadata = require('./script/install-metadata.js');
  const files = Object.entries(metadata.manifests[MANIFEST]);
  const source = url || (await resolveUrl(metadata, files[0][1].package, bounds));

  const scratch = mkdtempSync(join(tmpdir(), 'slipway-cuda-'));
  try {
    const archive = join(scratch, 'archive.zip');
    log(`slipway: downloading ${source}`);
    const { bytes, digest } = await download(source, archive, bounds);
    log(`slipway: ${bytes} bytes, SHA-256 ${digest}`);
    checkDigest(digest, sha256, source);
    return unpack(archive, files, join(packageDirectory, 'bin', 'napi-v6', PLATFORM), require('adm-zip'));
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** The address of the archive, from the NuGet feed's index: its `PackageBaseAddress` resource serves the packages. */
async function resolveUrl(metadata, packageKey, bounds) {
  const { name, versions } = metadata.packages[packageKey];
  const { feed, version } = versions[0];
  const { index } = metadata.feeds[feed];
  const chunks = [];
  await receive(index, bounds, bounds.maxIndexBytes, async (body) => {
    for await (const chunk of body) chunks.push(chunk);
  });
  const resources = JSON.parse(Buffer.concat(chunks).toString('utf8')).resources ?? [];
  const base = resources.find((resource) => resource['@type'] === 'PackageBaseAddress/3.0.0')?.['@id'];
  if (typeof base !== 'string') throw new Error(`${index} lists no PackageBaseAddress/3.0.0`);
  const id = name.toLowerCase();
  return new URL(`${id}/${version}/${id}.${version}.nupkg`, base.endsWith('/') ? base : `${base}/`).href;
}

async function download(url, path, bounds) {
  const hash = createHash('sha256');
  let bytes = 0;
  await receive(url, bounds, bounds.maxBytes, (body) =>
    pipeline(
      body,
      new Transform({
        transform(chunk, _encoding, done) {
          hash.update(chunk);
          bytes += chunk.length;
          done(null, chunk);
        },
      }),
      createWriteStream(path),
    ),
  );
  return { bytes, digest: hash.digest('hex') };
}

/** One GET whose body is bounded in size, in silence between two chunks, and in all. */
async function receive(url, { idleSeconds, totalSeconds }, maxBytes, consume) {
  const abort = new AbortController();
  const stop = (reason) => abort.abort(new Error(`${url}: ${reason}`));
  const total = setTimeout(() => stop(`not complete after ${totalSeconds} seconds`), totalSeconds * 1_000);
  const idle = setTimeout(() => stop(`silent for ${idleSeconds} seconds`), idleSeconds * 1_000);
  try {
    const response = await fetch(url, { signal: abort.signal });
    if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status}`);
    await consume(bounded(response.body, maxBytes, idle, url));
  } catch (error) {
    if (abort.signal.aborted) throw abort.signal.reason;
    // fetch says 'fetch failed' and keeps what happened in the cause.
    throw error.cause instanceof Error ? new Error(`${url}: ${error.cause.message}`, { cause: error }) : error;
  } finally {
    clearTimeout(total);
    clearTimeout(idle);
  }
}

async function* bounded(body, maxBytes, idle, url) {
  let bytes = 0;
  for await (const chunk of body) {
    idle.refresh();
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`${url}: larger than ${maxBytes} bytes, the most that is accepted`);
    yield chunk;
  }
}

function checkDigest(seen, recorded, source) {
  if (recorded === '') {
    throw new Error(
      [
        `no SHA-256 is recorded for ${source}, so the build stops here`,
        `the one just seen is ${seen}`,
        'compare it with a download over another network, then record it:',
        `  slipway image pin --variant cuda --cuda-sha256 ${seen}`,
        `or pass --build-arg ONNXRUNTIME_CUDA_SHA256=${seen}`,
      ].join('\n'),
    );
  }
  if (seen !== recorded) {
    throw new Error(
      `${source} has SHA-256 ${seen}, recorded is ${recorded}: this is another file, nothing was installed`,
    );
  }
}

function unpack(archive, files, directory, AdmZip) {
  const zip = new AdmZip(archive);
  // All of them are read before the first is written: an archive that lacks one leaves nothing behind.
  const contents = files.map(([name, { path }]) => {
    const entry = zip.getEntry(path);
    if (entry === null) throw new Error(`the archive holds no ${path}`);
    return [join(directory, name), entry.getData()];
  });
  return contents.map(([path, data]) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, data);
    return path;
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    const written = await fetchCuda({
      packageDirectory: process.argv[2],
      sha256: process.env.ONNXRUNTIME_CUDA_SHA256 ?? '',
      url: process.env.ONNXRUNTIME_CUDA_URL,
    });
    for (const path of written) console.log(`slipway: wrote ${path}`);
  } catch (error) {
    console.error(`slipway: ${error.message}`);
    process.exitCode = 1;
  }
}
