import { startEmulator } from './emulator';
import { programOnPath } from './program-on-path';

const PROGRAM = 'moto_server';
const REGION = 'us-east-1';

export interface AwsEmulatorOptions {
  /** Path of `moto_server`. @default - the one on the PATH */
  readonly program?: string;
}

export interface AwsEmulator {
  /** Address of every service, `http://localhost:<port>`. */
  readonly endpoint: string;
  /** What an SDK or the CDK's CLI needs to talk to it and to nobody else: address, region, invented credentials. */
  readonly environment: Readonly<Record<string, string>>;
  /** Account that everything is in. */
  readonly account: string;
  readonly stop: () => Promise<void>;
}

/**
 * Starts moto, an emulator of AWS, on a free port of the loopback interface, and waits until it answers. It is empty, and
 * ends with the process that started it. Its CloudFormation creates the types it knows and passes over the others without a
 * word, and can neither update nor delete most stacks: a deployment shows that references, parameters and uploads are
 * right, not what AWS would do.
 * @throws Error when there is no `moto_server`, with how to install it, or when it does not start
 */
export async function startAwsEmulator(options: AwsEmulatorOptions = {}): Promise<AwsEmulator> {
  const { port, stop } = await startEmulator(
    options.program ?? findProgram(),
    (free) => ['-H', '127.0.0.1', '-p', String(free)],
    '/moto-api/data.json',
  );
  // By name: the emulator reads a template only from an address that says localhost.
  const endpoint = `http://localhost:${port}`;
  const environment = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  return { endpoint, environment, account: '123456789012', stop };
}

function findProgram(): string {
  const found = programOnPath(PROGRAM);
  if (found === undefined) {
    throw new Error(`${PROGRAM} is not on the PATH; install it with: python3 -m pip install 'moto[server]'`);
  }
  return found;
}
