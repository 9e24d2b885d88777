import { GpuInstanceGroup } from 'slipway/pulumi/aws';

const cluster = { name: 'east', subnetIds: ['subnet-1'] };

new GpuInstanceGroup('idle', { cluster, instanceTypes: ['g6.xlarge'], maxSize: 8 });
new GpuInstanceGroup('base', { cluster, instanceTypes: ['g6e.xlarge'], minSize: 2, maxSize: 4 });
new GpuInstanceGroup('burst', { cluster, instanceTypes: ['g6.xlarge', 'g5.xlarge'], maxSize: 16, spot: true });
new GpuInstanceGroup('unpriced', { cluster, instanceTypes: ['p4d.24xlarge'], maxSize: 1, spot: true });
