import { readFileSync } from 'node:fs';
import path from 'node:path';
import * as pulumi from '@pulumi/pulumi';
import * as index from '../../../pulumi';
import * as alibaba from '../../../pulumi/alibaba';
import * as aws from '../../../pulumi/aws';
import * as azure from '../../../pulumi/azure';
import * as gcp from '../../../pulumi/gcp';
import * as image from '../../../pulumi/image';
import * as tencent from '../../../pulumi/tencent';
import { refusalOf } from '../../support/pulumi-refusal';

type Component = new (name: string, args: object) => pulumi.ComponentResource;

interface Schema {
  readonly resources: Readonly<
    Record<string, { readonly inputProperties: Readonly<Record<string, { plain?: true }>> }>
  >;
}

const MODULES: Readonly<Record<string, object>> = { index, aws, gcp, azure, alibaba, tencent, image };
const file = path.resolve(__dirname, '../../../pulumi/plugin/schema.json');
const { resources } = JSON.parse(readFileSync(file, 'utf8')) as Schema;

// Every component is given an output for its first argument that must be plain.
export const refusals = Object.fromEntries(
  Object.entries(resources).map(([token, { inputProperties }]) => {
    const [, module, name] = token.split(':') as [string, string, string];
    const [argument] = Object.entries(inputProperties).find(([, { plain }]) => plain === true)!;
    const Made = (MODULES[module] as Readonly<Record<string, Component>>)[name]!;
    return [token, refusalOf(() => new Made(token.replaceAll(':', '-'), { [argument]: pulumi.output('late') }))];
  }),
);
