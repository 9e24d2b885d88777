import { isUnknown, reveal, type PulumiRecording } from '../../testing';
import { failed, passed, type Outcome } from './step';
import type { Template } from './cdk-app';

/** What a rule says, whichever side it is of. */
interface Finding {
  readonly rule: string;
  readonly isError: boolean;
  readonly where: string;
  readonly message: string;
}

/** Holds the rules of slipway/pulumi/policy against what a program declares. */
export async function checkPulumi({ resources }: PulumiRecording, except: readonly string[]): Promise<Outcome> {
  const { checkResources } = await import('../../../pulumi/policy/check-resources.js');
  const custom = resources.filter((resource) => resource.custom && !resource.type.startsWith('pulumi:'));
  const { findings, undecided } = checkResources(
    custom.map(({ type, name, urn, inputs, dependencies }) => ({
      type,
      name,
      urn,
      props: reveal(inputs) as Record<string, unknown>,
      dependencies,
    })),
    {},
    (value) => isUnknown(value as never),
  );
  const known = findings.map(({ rule, level, urn, message }) => ({
    rule,
    isError: level === 'mandatory',
    where: urn.split('::').slice(-2).join(' '),
    message,
  }));
  const open = undecided.filter(({ rule }) => !except.includes(rule));
  const details = open.length === 0 ? [] : [`known only after deployment: ${open.length} times that a rule looked`];
  return report(known, except, `${custom.length} resources`, details);
}

/** Holds the rules of slipway/cdk/validation against templates. */
export async function checkTemplates(templates: readonly Template[], except: readonly string[]): Promise<Outcome> {
  const { checkTemplate } = await import('../../../cdk/validation/check-template.js');
  const findings = templates.flatMap(({ name, content }) =>
    checkTemplate(content).map(({ rule, severity, logicalId, message }) => ({
      rule,
      isError: severity === 'error',
      where: `${name} ${logicalId}`,
      message,
    })),
  );
  return report(findings, except, `${templates.length} templates`, []);
}

function report(
  findings: readonly Finding[],
  except: readonly string[],
  what: string,
  more: readonly string[],
): Outcome {
  const asked = findings.filter(({ rule }) => !except.includes(rule));
  const errors = asked.filter(({ isError }) => isError);
  const line = ({ rule, isError, where, message }: Finding): string =>
    `${isError ? 'error' : 'warning'} ${rule}: ${where}: ${message}`;
  const details = [...errors, ...asked.filter(({ isError }) => !isError)].map(line);
  const summary = `${what}, ${errors.length} errors, ${asked.length - errors.length} warnings`;
  return (errors.length === 0 ? passed : failed)(summary, [...details, ...more]);
}
