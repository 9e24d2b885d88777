import { Config } from '@pulumi/pulumi';
import type { FileService } from '../../service-objects';
import { declareService, type DeployedTo } from '../service-program';

// A program of its own, for whoever runs programs by their file: the service and its cluster come by configuration.
const config = new Config();
export const { url } = declareService(
  config.requireObject<FileService>('service'),
  config.requireObject<DeployedTo>('cluster'),
);
