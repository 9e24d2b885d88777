import { ArnFormat, CfnParameter, Stack, Token } from 'aws-cdk-lib';

/** All parameters of a stack, without those of stacks nested in it. */
export function findParameters(stack: Stack): readonly CfnParameter[] {
  return stack.node.findAll().filter((each): each is CfnParameter => {
    return each instanceof CfnParameter && Stack.of(each) === stack;
  });
}

/**
 * What in the parameter store the stack's parameters name. The version of the bootstrap stack is always among them: CDK
 * adds it while it synthesizes.
 */
export function ssmParameterArns(stack: Stack): readonly string[] {
  const named = findParameters(stack)
    .filter(({ type, default: name }) => type.startsWith('AWS::SSM::Parameter::') && !Token.isUnresolved(name))
    .map(({ default: name }) => String(name));
  const bootstrap = `/cdk-bootstrap/${stack.synthesizer.bootstrapQualifier ?? 'hnb659fds'}/version`;
  return [...new Set([bootstrap, ...named])].sort().map((name) => arnOf(stack, name));
}

function arnOf(stack: Stack, name: string): string {
  return stack.formatArn({
    service: 'ssm',
    resource: 'parameter',
    resourceName: name.replace(/^\//, ''),
    arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
    // Public parameters belong to nobody's account.
    ...(name.startsWith('/aws/') ? { account: '' } : {}),
  });
}
