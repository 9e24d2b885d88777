import * as pulumi from '@pulumi/pulumi';
import { packageVersion } from '../../runtime/image/image-context';
import schema from './schema.json';

type Component = new (
  name: string,
  args: pulumi.Inputs,
  opts: pulumi.ComponentResourceOptions,
) => pulumi.ComponentResource;

// Each is loaded when a program first asks for it: a user of one cloud installs no other's SDK.
const MODULES: Readonly<Record<string, () => Promise<object>>> = {
  index: () => import('../index.js'),
  aws: () => import('../aws/index.js'),
  gcp: () => import('../gcp/index.js'),
  azure: () => import('../azure/index.js'),
  alibaba: () => import('../alibaba/index.js'),
  tencent: () => import('../tencent/index.js'),
  image: () => import('../image/index.js'),
};

/**
 * Offers every component to programs in Python, Go, .NET, Java and YAML: the body of a plugin's `index.ts`. The schema
 * was made from the components' own types when this package was built.
 *
 * @example
 * import { hostComponents } from 'slipway/pulumi/plugin';
 * void hostComponents();
 */
export function hostComponents(): Promise<void> {
  return pulumi.provider.main(new ComponentPlugin(), process.argv.slice(2));
}

class ComponentPlugin implements pulumi.provider.Provider {
  readonly version = packageVersion();

  getSchema(): Promise<string> {
    return Promise.resolve(JSON.stringify({ ...schema, version: this.version }));
  }

  async construct(
    name: string,
    type: string,
    inputs: pulumi.Inputs,
    options: pulumi.ComponentResourceOptions,
  ): Promise<pulumi.provider.ConstructResult> {
    const { properties } = describe(type);
    const component = new (await loadComponent(type))(name, inputs, options);
    const outputs = component as unknown as Record<string, unknown>;
    return {
      urn: component.urn,
      state: Object.fromEntries(Object.keys(properties ?? {}).map((property) => [property, outputs[property]])),
    };
  }
}

function describe(type: string): { readonly properties?: object } {
  const resources: Readonly<Record<string, { readonly properties?: object }>> = schema.resources;
  if (!Object.hasOwn(resources, type)) {
    throw new Error(`there is no component '${type}'; known are ${Object.keys(resources).join(', ')}`);
  }
  return resources[type]!;
}

async function loadComponent(type: string): Promise<Component> {
  const [, module, name] = type.split(':') as [string, string, string];
  const components = (await MODULES[module]!()) as Readonly<Record<string, Component>>;
  return components[name]!;
}
