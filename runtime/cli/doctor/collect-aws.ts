import { execFile } from 'node:child_process';
import { CliError } from '../cli-error';
import { EC2_QUOTAS } from './examine-aws';
import type { AwsFacts } from './facts';

const TIMEOUT_MS = 60_000;

/**
 * Reads quotas with the AWS CLI, by whatever credentials it finds.
 * @throws CliError when the CLI is not there, or there are no credentials.
 */
export async function collectAws(region: string | undefined): Promise<AwsFacts> {
  const where = region === undefined ? [] : ['--region', region];
  const { Account: account } = await aws<{ Account: string }>(['sts', 'get-caller-identity', ...where]);
  const known = region ?? (await text(['configure', 'get', 'region'])).trim();
  const { Quotas } = await aws<{ Quotas: { QuotaCode: string; Value: number }[] }>([
    'service-quotas',
    'list-service-quotas',
    '--service-code',
    'ec2',
    ...where,
  ]);
  const codes = new Set<string>(EC2_QUOTAS.map(({ code }) => code));
  return {
    account,
    region: known,
    quotas: Object.fromEntries(
      Quotas.filter(({ QuotaCode }) => codes.has(QuotaCode)).map(({ QuotaCode, Value }) => [QuotaCode, Value]),
    ),
  };
}

async function aws<T>(args: readonly string[]): Promise<T> {
  return JSON.parse(await text([...args, '--output', 'json'])) as T;
}

function text(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      'aws',
      args,
      { timeout: TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: 16 * 2 ** 20 },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        const said =
          (error as NodeJS.ErrnoException).code === 'ENOENT'
            ? 'is not on the PATH; https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html'
            : `${args.slice(0, 2).join(' ')}: ${stderr.trim().split('\n').at(-1) || error.message.split('\n')[0]!}`;
        reject(new CliError(`the AWS CLI ${said}`));
      },
    );
  });
}
