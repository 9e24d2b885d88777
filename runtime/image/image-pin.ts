import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ImageError } from './image-error';

/** The file beside a program that records which base its images are built on. Meant to be committed. */
export const IMAGE_PIN_FILE = 'slipway.image.json';

/** What has been resolved once and is used ever after. Every image is `<name>:<tag>@sha256:…`. */
export interface ImagePin {
  readonly baseImage?: string;
  readonly cudaImage?: string;
  /** SHA-256 of the archive that holds ONNX Runtime's CUDA provider. */
  readonly cudaSha256?: string;
  /** ISO 8601, UTC. */
  readonly resolvedAt?: string;
}

const RULES: Readonly<Record<keyof ImagePin, { readonly pattern: RegExp; readonly expected: string }>> = {
  baseImage: {
    pattern: /^\S+@sha256:[0-9a-f]{64}$/,
    expected: 'an image with its digest, <name>:<tag>@sha256:<64 digits>',
  },
  cudaImage: {
    pattern: /^\S+@sha256:[0-9a-f]{64}$/,
    expected: 'an image with its digest, <name>:<tag>@sha256:<64 digits>',
  },
  cudaSha256: { pattern: /^[0-9a-f]{64}$/, expected: '64 lower-case hexadecimal digits' },
  resolvedAt: { pattern: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/, expected: 'a time like 2026-01-31T12:00:00Z' },
};

/** Whether a reference names one content for ever. */
export function isPinned(image: string): boolean {
  return RULES.baseImage.pattern.test(image);
}

/**
 * Reads `slipway.image.json` of a directory; an empty pin when there is none.
 * @throws ImageError PIN_INVALID naming the field, what it holds and what would work.
 */
export function readImagePin(directory: string): ImagePin {
  const path = join(directory, IMAGE_PIN_FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  return checkPin(parseJson(text, path), path);
}

/** Merges into what the file already records, so that pinning one image keeps the other. */
export function writeImagePin(directory: string, pin: ImagePin): string {
  const path = join(directory, IMAGE_PIN_FILE);
  const merged = checkPin({ ...readImagePin(directory), ...pin }, path);
  // Renamed into place: a reader never sees half a file.
  const scratch = `${path}.${process.pid}`;
  writeFileSync(scratch, `${JSON.stringify(merged, undefined, 2)}\n`);
  renameSync(scratch, path);
  return path;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ImageError('PIN_INVALID', path, `must be JSON: ${(error as Error).message}`);
  }
}

function checkPin(value: unknown, path: string): ImagePin {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ImageError('PIN_INVALID', path, `must be an object, got ${JSON.stringify(value)}`);
  }
  for (const [field, found] of Object.entries(value)) {
    const rule = RULES[field as keyof ImagePin];
    if (rule === undefined) {
      throw new ImageError(
        'PIN_INVALID',
        path,
        `has no field '${field}', it may hold ${Object.keys(RULES).join(', ')}`,
      );
    }
    if (typeof found !== 'string' || !rule.pattern.test(found)) {
      throw new ImageError('PIN_INVALID', path, `${field} must be ${rule.expected}, got ${JSON.stringify(found)}`);
    }
  }
  return value;
}
