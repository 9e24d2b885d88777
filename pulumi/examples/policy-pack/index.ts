import { PolicyPack } from '@pulumi/policy';
import { slipwayPolicies } from 'slipway/pulumi/policy';

// pulumi preview --policy-pack <this folder>
// A file given by --policy-pack-config changes levels and settings without touching this program:
//   { "gpu-machines-idle": "disabled", "gpu-machines-bounded": { "maxGpuMachines": 4 } }
new PolicyPack('platform', { policies: slipwayPolicies({ requiredTags: ['team'], maxGpuMachines: 8 }) });
