import * as pulumi from '@pulumi/pulumi';
import { ImageError } from '../runtime/image/image-error';
import { OnnxFileError } from '../runtime/onnx/onnx-file-error';
import { SpecError } from '../runtime/spec';
import { LATE_ARGS } from './late-args';
import { assertPlain } from './plain-args';
import { typeTokenOf } from './type-token';

/** Something the author gave that cannot be deployed, said in one sentence; anything else is a defect. */
export function isRefusal(error: unknown): error is SpecError | OnnxFileError | ImageError {
  return SpecError.is(error) || OnnxFileError.is(error) || ImageError.is(error);
}

/**
 * Decides something from the author's input; a refusal is shown as one line under the component. A plain error would
 * be shown as an unhandled exception with a stack. Call it after `super()`: the component must be registered.
 * @param args of the component, where they were not looked at yet: all but those of LATE_ARGS must be plain.
 */
export function decideFor<T>(component: pulumi.ComponentResource, decide: () => T, args?: object): T {
  try {
    if (args !== undefined) assertPlain(args, LATE_ARGS[typeTokenOf(component)]!);
    return decide();
  } catch (error) {
    throw isRefusal(error) ? oneLine(error.message, component) : error;
  }
}

function oneLine(message: string, component: pulumi.ComponentResource): pulumi.ResourceError {
  const refusal = new pulumi.ResourceError(message, component, true);
  // When the program's own lines are run, as they are before anything late is known, the SDK prints the stack whatever the
  // error says of it, and what it was doing then before the message.
  refusal.stack = message;
  return refusal;
}
