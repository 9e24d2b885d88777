import * as pulumi from '@pulumi/pulumi';

/** What a program is told where it makes something that cannot be: in one line, as components refuse. */
export function refusalOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    const { message } = error as Error;
    return pulumi.ResourceError.isInstance(error) ? message : `no refusal but ${message}`;
  }
  return 'nothing was refused';
}
