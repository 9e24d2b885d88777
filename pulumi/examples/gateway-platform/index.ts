import { PlatformAddons } from 'slipway/pulumi';

// The first of two stacks. Its charts bring kinds of objects, Gateway among them, and a program that uses a kind can only be
// previewed once the cluster knows it: so `pulumi up` here, and then in gateway-service.
const platform = new PlatformAddons('platform', { gateway: {} });

export const provides = platform.provides;
