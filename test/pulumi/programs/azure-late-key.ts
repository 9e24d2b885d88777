import { ResourceGroup } from '@pulumi/azure-native/resources';
import { ModelBucket } from '../../../pulumi/azure';

const group = new ResourceGroup('keys');
new ModelBucket('models', { resourceGroupName: 'inference', encryptionKey: group.name });
