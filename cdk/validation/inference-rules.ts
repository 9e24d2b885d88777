import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  Stack,
  type IPolicyValidationContext,
  type IPolicyValidationPlugin,
  type PolicyValidationPluginReport,
  type PolicyViolation,
} from 'aws-cdk-lib';
import { checkTemplate, RULES, type RuleId } from './check-template';
import type { CloudFormationTemplate } from './finding';

export interface InferenceRulesOptions {
  /** Rules that are not asked anywhere. To accept one finding, acknowledge it where it is. @default - all are asked */
  readonly except?: readonly RuleId[];
}

/**
 * Checks the templates of any CDK app for mistakes with GPUs and inference, with or without our constructs. Errors end the
 * synthesis, warnings are shown.
 *
 * @example
 * Validations.of(app).addPlugins(new InferenceRules());
 * Validations.of(service).acknowledge({ id: 'Slipway::SHORT_GRACE_PERIOD', reason: 'the model is 2 MB, and is in the image' });
 */
export class InferenceRules implements IPolicyValidationPlugin {
  readonly name = 'Slipway';
  readonly ruleIds: string[];
  private readonly except: readonly RuleId[];

  constructor(options: InferenceRulesOptions = {}) {
    this.except = [...(options.except ?? [])];
    this.ruleIds = RULES.map(({ id }) => id).filter((id) => !this.except.includes(id));
  }

  validate(context: IPolicyValidationContext): PolicyValidationPluginReport {
    const violations = [...templatePaths(context), ...nestedTemplatePaths(context)].flatMap((path) => this.check(path));
    return { success: violations.every(({ severity }) => severity !== 'error'), violations };
  }

  private check(templatePath: string): readonly PolicyViolation[] {
    const template = JSON.parse(readFileSync(templatePath, 'utf8')) as CloudFormationTemplate;
    return checkTemplate(template, this.except).map(({ rule, severity, logicalId, message }) => ({
      ruleName: rule,
      severity,
      description: message,
      violatingResources: [{ resourceLogicalId: logicalId, templatePath, locations: [] }],
    }));
  }
}

function templatePaths({ stackTemplates }: IPolicyValidationContext): readonly string[] {
  return stackTemplates.map(({ templatePath }) => templatePath);
}

/** Templates of nested stacks. CDK names those of top-level stacks alone; the others lie beside them. */
function nestedTemplatePaths({ stackTemplates, appConstruct }: IPolicyValidationContext): readonly string[] {
  const paths = new Map(
    stackTemplates.map(({ stackConstructPath, templatePath }) => [stackConstructPath, templatePath]),
  );
  return appConstruct.node.findAll().flatMap((construct) => {
    if (!Stack.isStack(construct) || construct.nestedStackParent === undefined) return [];
    const path = paths.get(outermost(construct).node.path);
    return path === undefined ? [] : [join(dirname(path), construct.templateFile)];
  });
}

function outermost(stack: Stack): Stack {
  return stack.nestedStackParent === undefined ? stack : outermost(stack.nestedStackParent);
}
