import { CfnParameter, Fn, type Stack } from 'aws-cdk-lib';
import { MANIFEST_FILE, SpecError, type ModelFacts, type ModelSpec } from '../runtime/spec';
import type { IModelBucket } from './model-bucket';

/** What a parameter is to models, kept on it: two installed copies of this package must see the same. */
const USE = Symbol.for('slipway.cdk.modelVersion');

interface ParameterUse {
  /** Bucket and declared version. */
  readonly source: string;
  isServed: boolean;
}

/** Version and manifest digest that a stack's replicas are told, as its parameter holds them. */
export interface DeployedVersion {
  /** Late-bound digits of a whole number. */
  readonly version: string;
  /** Late-bound, 64 lower-case hexadecimal digits. */
  readonly manifestSha256: string;
}

/**
 * The version of a model that a deployment runs: a parameter of its stack, `3@sha256:<digest of the manifest>`. Version
 * and digest change together, so every byte stays named by digest, and CloudFormation's own rollback brings both back.
 */
export class ModelVersion {
  readonly name: string;
  /** The declared version: what runs until a rollout chooses another. */
  readonly version: number;
  /** SHA-256 of its manifest. */
  readonly manifestSha256: string;
  readonly facts: ModelFacts;

  constructor(
    /** Where versions are published. */
    readonly models: IModelBucket,
    spec: ModelSpec,
  ) {
    this.name = spec.name;
    this.version = spec.version;
    this.manifestSha256 = spec.files!.find(({ path }) => path === MANIFEST_FILE)!.sha256;
    this.facts = spec.facts!;
  }

  /**
   * The parameter of this stack; it is made when it is first asked for. Its id holds the declared version: a deployment
   * keeps previous values of parameters, so a version that was raised in code would lose to them. A new id has only its
   * default: code wins when code changes, and events win otherwise.
   * @throws SpecError MODEL_DUPLICATE when another model of this name is rolled out in the stack, MODEL_NOT_ROLLED_OUT in
   * a nested stack.
   */
  parameterIn(stack: Stack): CfnParameter {
    if (stack.nested) {
      throw new SpecError(
        'MODEL_NOT_ROLLED_OUT',
        stack.node.path,
        `the version of '${this.name}' is a parameter, and those of a nested stack are not a deployment's to choose; put the service into a stack of its own`,
      );
    }
    const id = `Model${pascalCase(this.name)}From${this.version}`;
    const source = `${this.models.node.path}/${this.name}@${this.version}:${this.manifestSha256}`;
    const found = stack.node.tryFindChild(id) as (CfnParameter & { readonly [USE]?: ParameterUse }) | undefined;
    if (found !== undefined) {
      if (found[USE]?.source === source) return found;
      throw new SpecError(
        'MODEL_DUPLICATE',
        this.name,
        `'${stack.node.path}' has a parameter '${id}' already, for ${found[USE]?.source ?? 'something else'}; roll out one of the two from a stack of its own`,
      );
    }
    const parameter = new CfnParameter(stack, id, {
      description: `version of model ${this.name} and SHA-256 of its manifest; a rollout changes it`,
      default: `${this.version}@sha256:${this.manifestSha256}`,
      allowedPattern: '^[1-9][0-9]{0,14}@sha256:[0-9a-f]{64}$',
      constraintDescription: '<version>@sha256:<64 hexadecimal digits>',
    });
    const use: ParameterUse = { source, isServed: false };
    return Object.defineProperty(parameter, USE, { value: use });
  }

  /** What replicas of this stack are told; from now on the stack serves the model. */
  deployedIn(stack: Stack): DeployedVersion {
    const parameter = this.parameterIn(stack) as CfnParameter & { readonly [USE]: ParameterUse };
    parameter[USE].isServed = true;
    const value = parameter.valueAsString;
    return {
      version: Fn.select(0, Fn.split('@', value)),
      manifestSha256: Fn.select(1, Fn.split('sha256:', value)),
    };
  }

  /** Whether something of this stack serves the model. */
  isServedIn(stack: Stack): boolean {
    return (this.parameterIn(stack) as CfnParameter & { readonly [USE]: ParameterUse })[USE].isServed;
  }
}

function pascalCase(name: string): string {
  return name
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}
