import { hostComponents } from 'slipway/pulumi/plugin';

// Components of a cloud need its SDK beside the others in package.json: @pulumi/aws, @pulumi/gcp, …
void hostComponents();
