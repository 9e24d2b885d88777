import { assembleNumberKernel } from './assemble-number-kernel';
import {
  INPUT_AT,
  INPUT_BYTES,
  KERNEL_STOP,
  MARGIN_BYTES,
  OUTPUT_AT,
  OUTPUT_END_AT,
  PADDING_BYTES,
  STATUS_AT,
  writeKernelTables,
} from './number-kernel-memory';

type Run = (at: number, limit: number) => number;

/** What is used of it; its own types come with those of the browser alone. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => {
    readonly exports: { readonly run: Run; readonly memory: { readonly buffer: ArrayBuffer } };
  };
}

/**
 * Reads runs of numbers that commas separate, from one text, in WebAssembly: it has vectors of bytes and whole numbers of
 * 64 bits, so sixteen digits are read at a time. JavaScript takes several times as long.
 */
export class NumberKernel {
  /** Numbers of the last run. */
  outputs = new Float64Array();
  stop: number = KERNEL_STOP.unread;
  private readonly memory: Uint8Array<ArrayBuffer>;
  private readonly words: Int32Array;
  private readonly run: Run;
  private text: Uint8Array = new Uint8Array();
  /** Which part of the text lies in memory. */
  private from = 0;
  private to = 0;

  private constructor() {
    const { Module, Instance } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly;
    const { run, memory } = new Instance(new Module(assembleNumberKernel())).exports;
    const { buffer } = memory;
    this.run = run;
    this.memory = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    writeKernelTables(buffer);
  }

  private static only: NumberKernel | undefined;

  /** The kernel of this thread, about to read this text. */
  static for(text: Uint8Array): NumberKernel {
    const kernel = (this.only ??= new NumberKernel());
    kernel.text = text;
    kernel.from = kernel.to = 0;
    return kernel;
  }

  /**
   * Reads numbers from `at` on, as many as lie in memory.
   * @returns where it stopped; the same place when it read nothing. `outputs` is overwritten by the next call.
   */
  read(at: number): number {
    const { text } = this;
    if (at < this.from || (at + MARGIN_BYTES >= this.to && this.to < text.byteLength)) this.load(at);
    const isLast = this.to === text.byteLength;
    const offset = INPUT_AT - this.from;
    const end = this.run(at + offset, this.to + offset - (isLast ? 0 : MARGIN_BYTES));
    this.stop = this.words[STATUS_AT >> 2]!;
    this.outputs = new Float64Array(this.memory.buffer, OUTPUT_AT, (this.words[OUTPUT_END_AT >> 2]! - OUTPUT_AT) >> 3);
    return end - offset;
  }

  private load(at: number): void {
    this.from = at;
    this.to = Math.min(this.text.byteLength, at + INPUT_BYTES);
    this.memory.set(this.text.subarray(at, this.to), INPUT_AT);
    const end = INPUT_AT + this.to - at;
    this.memory.fill(0, end, end + PADDING_BYTES);
  }
}
