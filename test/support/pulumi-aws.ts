import { playAws } from '../../runtime/testing/clouds/aws';

// Not the commercial partition: an ARN written by hand would show.
export const { onResource: awsState, onInvoke: awsInvoke } = playAws('cn-north-1');
