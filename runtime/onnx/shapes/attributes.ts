import type { AttributeProto, NodeProto } from '../generated/onnx-ml_pb';

/** Attributes of a node by name. */
export class Attributes {
  readonly #byName: ReadonlyMap<string, AttributeProto>;

  constructor({ attribute }: NodeProto) {
    this.#byName = new Map(attribute.map((each) => [each.name, each]));
  }

  get(name: string): AttributeProto | undefined {
    return this.#byName.get(name);
  }

  int(name: string, otherwise: number): number {
    const attribute = this.#byName.get(name);
    return attribute === undefined ? otherwise : Number(attribute.i);
  }

  ints(name: string): readonly number[] | undefined {
    const attribute = this.#byName.get(name);
    return attribute === undefined ? undefined : attribute.ints.map(Number);
  }

  floats(name: string): readonly number[] | undefined {
    const attribute = this.#byName.get(name);
    return attribute === undefined || attribute.floats.length === 0 ? undefined : attribute.floats;
  }

  text(name: string, otherwise: string): string {
    const attribute = this.#byName.get(name);
    return attribute === undefined ? otherwise : Buffer.from(attribute.s).toString('latin1');
  }
}
