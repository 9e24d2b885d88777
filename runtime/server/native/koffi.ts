import type Koffi from 'koffi' with { 'resolution-mode': 'import' };

export type ForeignLibrary = typeof Koffi;
export type ForeignFunction = ReturnType<ReturnType<ForeignLibrary['load']>['func']>;
type LibraryHandle = ReturnType<ForeignLibrary['load']>;

const STACK_BYTES = 8 * 2 ** 20;

/**
 * The foreign-function interface, loaded when it is first needed.
 * @throws Error when it is not installed: it is optional.
 */
export async function loadKoffi(): Promise<ForeignLibrary> {
  const { default: koffi } = await import('koffi');
  // koffi runs calls on stacks of its own; ONNX Runtime recurses into subgraphs and expects what a thread has. Once a
  // library is open, koffi refuses to change the sizes, so this comes first in each thread.
  if (koffi.config().sync_stack_size !== STACK_BYTES) {
    koffi.config({ sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES });
  }
  return koffi;
}

/** By path. koffi unloads a library that nothing refers to, and functions that were found by address do not count. */
const openLibraries = new Map<string, LibraryHandle>();

/** Opens a library for as long as this thread lives. @throws Error when it cannot be loaded. */
export function openLibrary(koffi: ForeignLibrary, path: string): LibraryHandle {
  const library = openLibraries.get(path) ?? koffi.load(path);
  openLibraries.set(path, library);
  return library;
}

/**
 * Calls on a thread of libuv's pool.
 * @returns what the function returns
 */
export function callInPool(call: ForeignFunction, values: readonly unknown[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    call.async(...values, (error: Error | null, answer: unknown) => {
      // The arguments are referred to here, so their memory stays until the call is over.
      void values;
      if (error === null) resolve(answer);
      else reject(error);
    });
  });
}
