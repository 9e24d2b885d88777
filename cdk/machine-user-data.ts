import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { MachineOs } from './machine-image';

export interface MachineSettings {
  /** Whether AWS may take the machine back: its replicas are drained when it says so. */
  readonly spot: boolean;
  /** Whether the machine boots once, is stopped, and joins the cluster later. */
  readonly warmPool: boolean;
  /** Whether models are kept on the machine's own disks. */
  readonly modelCache: boolean;
  /** Lines of the author's own: shell on Amazon Linux, TOML on Bottlerocket. */
  readonly lines: readonly string[];
}

/** Where Docker has the volumes of replicas: one for the models of each service, and one for the scratch of each replica. */
const VOLUMES = '/var/lib/docker/volumes';

/** What the machine runs before the CDK has it join the cluster. */
export function userDataBeforeJoining(os: MachineOs, settings: MachineSettings): ec2.UserData {
  if (os === 'bottlerocket') return ec2.UserData.custom('');
  const userData = ec2.UserData.forLinux();
  userData.addCommands(
    ...agentSettings(settings).map((line) => `echo ${line} >> /etc/ecs/ecs.config`),
    ...(settings.modelCache ? installModelCache() : []),
    ...settings.lines,
  );
  return userData;
}

/**
 * What follows the CDK's own lines, which on Bottlerocket open the table `[settings.ecs]`: a table may be opened once, so
 * our settings go on with it.
 */
export function userDataAfterJoining(os: MachineOs, settings: MachineSettings): readonly string[] {
  if (os === 'amazon-linux') return [];
  return [
    'awsvpc-block-imds = true',
    ...(settings.spot ? ['enable-spot-instance-draining = true'] : []),
    ...settings.lines,
  ];
}

// CDK writes ECS_CLUSTER, and none of these: its own spot draining does nothing with a launch template.
function agentSettings({ spot, warmPool }: MachineSettings): readonly string[] {
  return [
    'ECS_ENABLE_GPU_SUPPORT=true',
    // A replica has its own role: it must not be able to take the machine's.
    'ECS_AWSVPC_BLOCK_IMDS=true',
    ...(spot ? ['ECS_ENABLE_SPOT_INSTANCE_DRAINING=true'] : []),
    // Without it a machine of the warm pool joins the cluster, is given replicas, and is stopped under them.
    ...(warmPool ? ['ECS_WARM_POOLS_CHECK=true'] : []),
  ];
}

/**
 * Mounts the machine's own disks for Docker's volumes. A stop empties them, and a machine of a warm pool is stopped and
 * started, so this runs at each boot and begins anew: after a mere reboot the models are fetched once more. Where a disk
 * is missing or cannot be used, volumes lie on the root volume, and replicas start all the same. Docker makes the folders
 * in there when a replica starts, so at the first boot it may run already.
 */
const MODEL_CACHE_SCRIPT = `#!/bin/bash
set -u
mkdir -p ${VOLUMES}
if ! mountpoint -q ${VOLUMES}; then
  mapfile -t disks < <(lsblk -dnpo NAME,MODEL | awk '/Amazon EC2 NVMe Instance Storage/ { print $1 }')
  device=\${disks[0]:-}
  if [ "\${#disks[@]}" -gt 1 ] && command -v mdadm > /dev/null; then
    mdadm --stop --scan
    mdadm --create /dev/md0 --run --force --level=0 --raid-devices="\${#disks[@]}" "\${disks[@]}" && device=/dev/md0
  fi
  if [ -n "$device" ]; then
    mkfs.xfs -q -f -K "$device" && mount -o noatime,nodev,nosuid "$device" ${VOLUMES}
  fi
fi
chmod 0701 ${VOLUMES}
`;

const SCRIPT_PATH = '/usr/local/sbin/slipway-model-cache';
const UNIT = 'slipway-model-cache.service';

function installModelCache(): readonly string[] {
  return [
    `cat > ${SCRIPT_PATH} <<'SLIPWAY_SCRIPT'`,
    MODEL_CACHE_SCRIPT.trimEnd(),
    'SLIPWAY_SCRIPT',
    `chmod 0755 ${SCRIPT_PATH}`,
    `cat > /etc/systemd/system/${UNIT} <<'SLIPWAY_UNIT'`,
    '[Unit]',
    'Description=Models of replicas on the disks of the machine',
    // Whatever starts containers must find the disks mounted.
    'Before=docker.service ecs.service',
    '[Service]',
    'Type=oneshot',
    'RemainAfterExit=yes',
    `ExecStart=${SCRIPT_PATH}`,
    '[Install]',
    'WantedBy=multi-user.target',
    'SLIPWAY_UNIT',
    'systemctl daemon-reload',
    `systemctl enable --now ${UNIT}`,
  ];
}
