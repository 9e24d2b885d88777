import { CONTAINER_USER } from '../endpoints';
import type { ContainerObject, PodSpecObject } from './objects';

type PodSecurity = PodSpecObject<never>['securityContext'];
type VolumeGroup = Pick<PodSecurity, 'fsGroup' | 'fsGroupChangePolicy'>;

/**
 * What Pod Security *restricted* asks of a pod, as the user of our image.
 * @param volumes whose group owns what is mounted. @default - nothing is, that anybody writes
 */
export function podSecurity<T extends Partial<VolumeGroup> = object>(
  volumes?: T,
): Omit<PodSecurity, keyof VolumeGroup> & T {
  return {
    runAsNonRoot: true,
    runAsUser: CONTAINER_USER,
    runAsGroup: CONTAINER_USER,
    ...(volumes ?? ({} as T)),
    seccompProfile: { type: 'RuntimeDefault' },
  };
}

/** What Pod Security *restricted* asks of a container, and a root file system that nobody writes. */
export function containerSecurity(): ContainerObject<never>['securityContext'] {
  return {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    capabilities: { drop: ['ALL'] },
  };
}
