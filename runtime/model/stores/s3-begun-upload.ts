import { createHash } from 'node:crypto';
import type * as S3 from '@aws-sdk/client-s3';
import type { StoredFile } from '../model-store';
import { readRange } from '../read-chunks';

/** A multipart upload that goes on, with what an ended process has sent. */
export interface BegunUpload {
  readonly id: string;
  /** The part of this number when it is there with these very bytes. */
  readonly partLike: (number: number, body: Uint8Array) => S3.CompletedPart | undefined;
}

/** Uploads of one key that are looked at, newest first: each is one publish that was ended. */
const MAX_UPLOADS = 8;

/**
 * The upload of an ended process that holds parts of this very file. One without parts may be another file's, and one whose
 * first part differs is.
 */
export async function findBegunUpload(
  sdk: typeof S3,
  client: S3.S3Client,
  object: { readonly Bucket: string; readonly Key: string },
  file: StoredFile,
  partBytes: number,
): Promise<BegunUpload | undefined> {
  try {
    const request = { Bucket: object.Bucket, Prefix: object.Key };
    const { Uploads = [] } = await client.send(new sdk.ListMultipartUploadsCommand(request));
    const own = Uploads.filter(({ Key, UploadId }) => Key === object.Key && UploadId !== undefined);
    const newestFirst = own.sort((a, b) => (b.Initiated?.getTime() ?? 0) - (a.Initiated?.getTime() ?? 0));
    for (const { UploadId } of newestFirst.slice(0, MAX_UPLOADS)) {
      const parts = await listParts(sdk, client, { ...object, UploadId: UploadId! });
      const [first] = parts.values();
      if (first === undefined) continue;
      const upload = { id: UploadId!, partLike: partFinder(parts) };
      const start = (first.PartNumber! - 1) * partBytes;
      const ours = await readRange(file, start, Math.min(partBytes, file.bytes - start));
      if (upload.partLike(first.PartNumber!, ours) !== undefined) return upload;
    }
    return undefined;
  } catch (error) {
    // Who may write and not list these sends everything again.
    if ((error as Error).name === 'AccessDenied') return undefined;
    throw error;
  }
}

async function listParts(
  sdk: typeof S3,
  client: S3.S3Client,
  upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string },
): Promise<ReadonlyMap<number, S3.Part>> {
  const parts = new Map<number, S3.Part>();
  // Not by the SDK's paginator, which goes on for ever where a last page names a next one.
  for (let PartNumberMarker: string | undefined, isLast = false; !isLast;) {
    const page: S3.ListPartsCommandOutput = await client.send(
      new sdk.ListPartsCommand({ ...upload, PartNumberMarker }),
    );
    for (const part of page.Parts ?? []) if (part.PartNumber !== undefined) parts.set(part.PartNumber, part);
    isLast = page.IsTruncated !== true || page.NextPartNumberMarker === PartNumberMarker;
    PartNumberMarker = page.NextPartNumberMarker;
  }
  return parts;
}

/** A part is known by its SHA-256, or where the store keeps none, by its MD5, which is its ETag. */
function partFinder(parts: ReadonlyMap<number, S3.Part>): BegunUpload['partLike'] {
  return (number, body) => {
    const part = parts.get(number);
    if (part?.Size !== body.byteLength) return undefined;
    const { ETag, ChecksumSHA256 } = part;
    const isSame =
      ChecksumSHA256 === undefined
        ? ETag?.replaceAll('"', '').toLowerCase() === createHash('md5').update(body).digest('hex')
        : ChecksumSHA256 === createHash('sha256').update(body).digest('base64');
    if (!isSame) return undefined;
    return { ETag, PartNumber: number, ...(ChecksumSHA256 === undefined ? {} : { ChecksumSHA256 }) };
  };
}
