import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Capacity, GpuMachineImage, type GpuInstanceGroupProps } from 'slipway/cdk';
import { beforeEach, describe, expect, test } from 'vitest';
import { toolOnPath } from '../support/tools';
import { addGroup, synthesizeGroup, userDataOf } from './support/machines';
import { describeWithAndWithoutFlags, newStack } from './support/stacks';

const BOTTLEROCKET = GpuMachineImage.bottlerocket({ pinnedParameter: '/team/bottlerocket/2026-11-01' });

describeWithAndWithoutFlags('user data', (newStack) => {
  const userData = (props: Partial<GpuInstanceGroupProps> = {}): string =>
    userDataOf(synthesizeGroup(newStack(), props));

  test('the machine joins the cluster last, when everything else is in place', () => {
    const lines = userData({ userData: ['echo hello > /tmp/hello'], warmPool: {} })
      .trimEnd()
      .split('\n');
    expect(lines[0]).toBe('#!/bin/bash');
    expect(lines.at(-1)).toBe('echo ECS_CLUSTER=REF >> /etc/ecs/ecs.config');
    expect(lines.at(-2)).toBe('echo hello > /tmp/hello');
  });

  test('a machine of a warm pool waits until it is in service, and no other one asks', () => {
    expect(userData({ warmPool: {} })).toContain('echo ECS_WARM_POOLS_CHECK=true >> /etc/ecs/ecs.config\n');
    expect(userData()).not.toContain('WARM_POOLS');
  });

  test('the script is one that bash can read', () => {
    const everything = userData({ userData: ['true'], capacity: Capacity.spotFirst(['g6.xlarge']) });
    execFileSync('bash', ['-n'], { input: everything });
  });

  test('models are kept on the disks of the machine unless the author says no', () => {
    expect(userData()).toContain('systemctl enable --now slipway-model-cache.service');
    expect(userData({ modelCache: false })).not.toContain('slipway');
  });

  test('the disks are mounted at each boot, before anything starts a container', () => {
    const unit = /<<'SLIPWAY_UNIT'\n([\s\S]*?)\nSLIPWAY_UNIT\n/.exec(userData())![1]!;
    expect(unit).toContain('Before=docker.service ecs.service');
    expect(unit).toContain('WantedBy=multi-user.target');
    expect(unit).toContain('Type=oneshot');
  });

  test('Bottlerocket is configured in one table of settings, away from the role of the machine, and drained off spot', () => {
    const settings = userData({
      machineImage: BOTTLEROCKET,
      capacity: Capacity.spotFirst(['g6.xlarge']),
      userData: ['[settings.host-containers.admin]', 'enabled = true'],
    });
    expect(settings.trim().split('\n')).toEqual([
      '[settings.ecs]',
      'cluster = "REF"',
      'awsvpc-block-imds = true',
      'enable-spot-instance-draining = true',
      '[settings.host-containers.admin]',
      'enabled = true',
    ]);
  });
});

test('a service is told whether machines keep models', () => {
  expect(addGroup(newStack()).modelCache).toBe(true);
  expect(addGroup(newStack(), { modelCache: false }).modelCache).toBe(false);
  expect(addGroup(newStack(), { machineImage: BOTTLEROCKET }).modelCache).toBe(false);
});

test('Bottlerocket cannot mount disks', () => {
  expect(() => addGroup(newStack(), { machineImage: BOTTLEROCKET, modelCache: true })).toThrow(
    'MODEL_CACHE_UNSUPPORTED modelCache: Bottlerocket has no shell to mount disks with',
  );
});

describe('the script that mounts the disks, run with disks that are not there', () => {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-machine-'));
  const log = join(folder, 'log');
  const mounted = join(folder, 'mounted');
  const script = /<<'SLIPWAY_SCRIPT'\n([\s\S]*?)\nSLIPWAY_SCRIPT\n/.exec(userDataOf(synthesizeGroup(newStack())))![1]!;

  const tool = (name: string, body = ''): void => {
    writeFileSync(join(folder, name), `#!/bin/bash\necho "${name} $*" >> '${log}'\n${body}\n`);
    chmodSync(join(folder, name), 0o755);
  };

  // Nothing but these is on the PATH, so nothing of this machine is formatted or mounted.
  function boot(disks: readonly string[]): readonly string[] {
    const model = 'Amazon EC2 NVMe Instance Storage';
    const root = '/dev/nvme0n1 Amazon Elastic Block Store';
    tool(
      'lsblk',
      `printf '%s\\n' ${[root, ...disks.map((disk) => `${disk} ${model}`)].map((line) => `'${line}'`).join(' ')}`,
    );
    rmSync(log, { force: true });
    const { status, stderr } = spawnSync('/bin/bash', ['--norc', '--noprofile', '-c', script], {
      env: { PATH: folder },
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return readFileSync(log, 'utf8').trim().split('\n');
  }

  beforeEach(() => {
    for (const file of [mounted, join(folder, 'mdadm')]) rmSync(file, { force: true });
    if (!existsSync(join(folder, 'awk'))) symlinkSync(toolOnPath('awk')!, join(folder, 'awk'));
    for (const name of ['mkdir', 'chmod', 'mkfs.xfs']) tool(name);
    tool('mountpoint', `[ -e '${mounted}' ]`);
    tool('mount', `: > '${mounted}'`);
  });

  const FORMAT = 'mkfs.xfs -q -f -K';
  const MOUNT = 'mount -o noatime,nodev,nosuid';
  const CLOSE = 'chmod 0701 /var/lib/docker/volumes';

  test('one disk is formatted, mounted without devices where Docker has its volumes, and nobody but root looks into it', () => {
    expect(boot(['/dev/nvme1n1'])).toEqual([
      'mkdir -p /var/lib/docker/volumes',
      'mountpoint -q /var/lib/docker/volumes',
      'lsblk -dnpo NAME,MODEL',
      `${FORMAT} /dev/nvme1n1`,
      `${MOUNT} /dev/nvme1n1 /var/lib/docker/volumes`,
      CLOSE,
    ]);
  });

  test('it is done again at the next boot, since a stop empties the disks', () => {
    const first = boot(['/dev/nvme1n1']);
    rmSync(mounted);
    expect(boot(['/dev/nvme1n1'])).toEqual(first);
  });

  test('run twice in one boot it keeps what is there', () => {
    boot(['/dev/nvme1n1']);
    expect(boot(['/dev/nvme1n1'])).toEqual([
      'mkdir -p /var/lib/docker/volumes',
      'mountpoint -q /var/lib/docker/volumes',
      CLOSE,
    ]);
  });

  test('several disks become one where the machine can do that', () => {
    tool('mdadm');
    const calls = boot(['/dev/nvme1n1', '/dev/nvme2n1']);
    expect(calls).toContain(
      'mdadm --create /dev/md0 --run --force --level=0 --raid-devices=2 /dev/nvme1n1 /dev/nvme2n1',
    );
    expect(calls).toContain(`${MOUNT} /dev/md0 /var/lib/docker/volumes`);
  });

  test('where it cannot, or does not succeed, the first disk will do', () => {
    expect(boot(['/dev/nvme1n1', '/dev/nvme2n1'])).toContain(`${MOUNT} /dev/nvme1n1 /var/lib/docker/volumes`);
    rmSync(mounted);
    tool('mdadm', '[ "$1" != --create ]');
    expect(boot(['/dev/nvme1n1', '/dev/nvme2n1'])).toContain(`${MOUNT} /dev/nvme1n1 /var/lib/docker/volumes`);
  });

  test('without a disk, or with one that cannot be formatted, volumes lie where they lay', () => {
    const without = boot([]);
    expect(without.at(-1)).toBe(CLOSE);
    expect(without.join('\n')).not.toContain('mkfs');
    tool('mkfs.xfs', 'exit 1');
    const broken = boot(['/dev/nvme1n1']);
    expect(broken.at(-1)).toBe(CLOSE);
    expect(broken.join('\n')).not.toContain(MOUNT);
  });
});
