import { lookUpInstance } from '../../runtime/spec';

/**
 * What Compute Engine calls a GPU, by the catalogue's name.
 * Source: GPU machine types (https://docs.cloud.google.com/compute/docs/gpus), read 2026-11-22 in a stored copy.
 */
const ACCELERATORS: Readonly<Record<string, string>> = {
  L4: 'nvidia-l4',
  'RTX-PRO-6000': 'nvidia-rtx-pro-6000',
  A100: 'nvidia-tesla-a100',
  'A100-80GB': 'nvidia-a100-80gb',
  H100: 'nvidia-h100-80gb',
};

/** The accelerator that comes with a machine type of the catalogue. */
export function acceleratorOf(machineType: string): string {
  const { gpu } = lookUpInstance(machineType, 'instanceTypes[0]', 'gcp');
  const accelerator = ACCELERATORS[gpu];
  if (accelerator === undefined) throw new Error(`no accelerator is known for ${gpu} of ${machineType}`);
  return accelerator;
}
