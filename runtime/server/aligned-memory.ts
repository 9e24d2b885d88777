/** As `malloc` aligns: kernels add up in another order, and round otherwise, from an address that is no multiple of it. */
export const ALIGNMENT = 16;

/** Bytes to leave free so that what lies behind so many bytes begins at a multiple of the alignment. */
export function paddingBefore(length: number): number {
  return (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;
}

/**
 * Chunks one behind the other.
 * @param place Memory of their whole length.
 */
export function joinChunks(chunks: readonly Uint8Array[], place: Uint8Array): Uint8Array {
  let at = 0;
  for (const chunk of chunks) {
    place.set(chunk, at);
    at += chunk.byteLength;
  }
  return place;
}
