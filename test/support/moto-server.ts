import { startAwsEmulator, type AwsEmulator } from '../../runtime/testing/aws-emulator';

export type MotoServer = AwsEmulator;

/** Starts moto's AWS emulator; `program` is the path of `moto_server`. */
export function startMotoServer(program: string): Promise<MotoServer> {
  return startAwsEmulator({ program });
}
