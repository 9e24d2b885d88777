import type { CanaryChoices, GatewayOptions, KubernetesOptions, RouteOptions, ShadowChoices } from '../spec';
import type { InterceptorWake, MonitoringOptions, Placement, QueueWake, ScheduleWake, Toleration } from '../spec';
import type { VerdictOptions, WakeOptions, WakeWindow } from '../spec';
import {
  CapacityKind,
  ExecutionProvider,
  Preset,
  ScalingMetricsSource,
  type InferenceServiceSpec,
} from '../spec/inference-service-spec';
import type { EgressRule, IdentityBinding } from '../spec/kubernetes/identity-binding';
import { GpuAllocation, TaintEffect, TolerationOperator } from '../spec/kubernetes/placement';
import { ServingEngine } from '../spec/kubernetes/traffic-options';
import { boolean, fields, list, number, object, oneOf, text, texts, textsByName, type Field } from './spec-shape';

// Every field of a spec file. The types say which there are, so a new word of the kit that is missing here does not compile.

type FieldsOf<T> = Record<keyof T, Field>;

const VOLUME = fields(
  {
    claimName: text('name of a PersistentVolumeClaim of the namespace'),
    csi: object(
      fields(
        {
          driver: text("the driver, as in 'blob.csi.azure.com'"),
          attributes: textsByName('what the driver is told, as its own pages list it'),
        },
        ['driver'],
      ),
      'a volume that a CSI driver brings by itself',
    ),
  },
  [],
  { some: [['claimName'], ['csi']], never: [['claimName', 'csi']] },
);

const MODEL = fields(
  {
    name: text("name of the model; by default the manifest's, or that of the file's place"),
    version: number('version of the model, from 1 up; as for the name'),
    manifest: text('path of the manifest that slipway model publish left, relative to this file'),
    file: text('path of the ONNX file itself, relative to this file'),
    maxBatchSize: number('rows that one run may carry; by default 32 where the first dimension is free, else 1'),
    repositoryUri: text('model repository that a replica fetches from; by default kubernetes.modelRepository'),
    image: text('image by digest whose root is a model repository: mounted, which Kubernetes does from 1.34 on'),
    volume: object(VOLUME, 'volume whose root is a model repository: mounted read-only'),
  },
  [],
  {
    some: [['manifest'], ['file'], ['name', 'version']],
    never: [
      ['manifest', 'file'],
      ['repositoryUri', 'image'],
      ['repositoryUri', 'volume'],
      ['image', 'volume'],
    ],
  },
);

const PLACEMENT = fields(
  {
    nodeSelector: textsByName('labels that the nodes must have'),
    tolerations: list(
      fields(
        {
          key: text('key of the taint'),
          operator: oneOf(TolerationOperator, 'whether its value matters'),
          value: text('value of the taint'),
          effect: oneOf(TaintEffect, 'effect of the taint'),
        } satisfies FieldsOf<Toleration>,
        ['key', 'operator', 'effect'],
      ),
      'taints that the pods tolerate',
    ),
    runtimeClassName: text('runtime class of the pods'),
    gpuResourceName: text("extended resource that stands for a GPU, or a share of one, as in 'nvidia.com/gpu'"),
    gpuAllocation: oneOf(GpuAllocation, 'how a pod asks for its GPUs; by default as an extended resource'),
    deviceClassName: text('device class of claims, with dra; by default gpu.nvidia.com'),
    sharesPerGpu: number('pods that one GPU is offered to; by default 1'),
    gpuMemoryMiB: number('memory of one share, where it is fixed as with MIG'),
    instanceTypes: texts('types of the machines'),
    maxGpus: number('most GPUs that the machines can have together'),
  } satisfies FieldsOf<Placement>,
  ['nodeSelector', 'tolerations', 'gpuResourceName'],
);

const IDENTITY = fields({
  serviceAccountAnnotations: textsByName('annotations that bind the service account to an identity of the cloud'),
  podLabels: textsByName('labels that the cloud asks of the pods'),
  namespaceLabels: textsByName('labels that the cloud asks of a namespace that is made too'),
  egress: list(
    fields({ cidr: text('addresses'), port: number('TCP port') } satisfies FieldsOf<EgressRule>, ['cidr', 'port']),
    'what the pods must reach to get their credentials',
  ),
  environment: textsByName("variables of the cloud's own SDK"),
} satisfies FieldsOf<IdentityBinding>);

const ROUTE = fields(
  {
    gateway: object(
      fields(
        {
          name: text('name of the Gateway'),
          namespace: text('namespace of the Gateway'),
          section: text('name of one of its listeners; by default every one that lets the route in'),
          proxyNamespace: text("namespace in which its proxies run; by default the Gateway's own"),
          proxyCidrs: texts('addresses of proxies that are no pods'),
        } satisfies FieldsOf<GatewayOptions>,
        ['name', 'namespace'],
      ),
      'a Gateway of the cluster',
    ),
    hostnames: texts('hosts of HTTP requests'),
    path: text('paths that are passed on, with everything below; by default /v2'),
    grpcHostnames: texts('hosts of gRPC requests, others than those of HTTP'),
    plaintext: boolean('whether the listener is without TLS; by default false'),
  } satisfies FieldsOf<RouteOptions>,
  ['gateway', 'hostnames'],
);

const VERDICT = fields({
  bakeSeconds: number('seconds that the canary is watched before it may be called good; by default 600'),
  minRequests: number('requests that each track must have answered; by default 100'),
  maxErrorIncrease: number('how much larger its share of failed requests may be; by default 0.01'),
  maxLatencyRatio: number("how many times the stable track's p99 its own may be; by default 1.5"),
} satisfies FieldsOf<VerdictOptions>);

const TRACK = {
  models: list(MODEL, 'what it serves: every model of the service'),
  image: text('image of its replicas; by default that of the service'),
  replicas: number('how many replicas it has, whatever the load; by default its share, with an autoscaler'),
};

const CANARY = fields(
  {
    ...TRACK,
    weightPercent: number('its share of the requests, 0 to 100'),
    verdict: object(VERDICT, 'judges the canary by what it answers, and takes it out when it is bad'),
  } satisfies FieldsOf<CanaryChoices & Record<'models' | 'image', unknown>>,
  ['models', 'weightPercent'],
);

const SHADOW = fields(
  { ...TRACK, percent: number('share of the requests that is copied, 1 to 100') } satisfies FieldsOf<
    ShadowChoices & Record<'models' | 'image', unknown>
  >,
  ['models', 'percent'],
);

const WAKE = fields({
  interceptor: object(
    fields(
      {
        hosts: texts('values of the Host header by which the interceptor knows this service'),
        namespace: text("namespace of KEDA's HTTP add-on; by default keda"),
        concurrency: number('requests under way that one replica is meant to have'),
      } satisfies FieldsOf<InterceptorWake>,
      ['hosts'],
    ),
    "requests, by KEDA's HTTP add-on",
  ),
  schedule: object(
    fields(
      {
        windows: list(
          fields(
            {
              start: text("five fields of cron, as in '0 8 * * 1-5'"),
              end: text('five fields of cron'),
              replicas: number('replicas within it; by default 1'),
            } satisfies FieldsOf<WakeWindow>,
            ['start', 'end'],
          ),
          'when replicas are there',
        ),
        timezone: text("of the IANA list, as in 'Europe/Berlin'; by default UTC"),
      } satisfies FieldsOf<ScheduleWake>,
      ['windows'],
    ),
    'the time of day',
  ),
  queue: object(
    fields(
      {
        scaler: text("KEDA's name of the scaler: aws-sqs-queue, kafka, rabbitmq …"),
        metadata: textsByName("what that scaler is told, as KEDA's pages list it"),
        authentication: text('name of a TriggerAuthentication of the namespace'),
      } satisfies FieldsOf<QueueWake>,
      ['scaler', 'metadata'],
    ),
    'messages that wait',
  ),
} satisfies FieldsOf<WakeOptions>);

const MONITORING = fields({
  enabled: boolean('by default where the autoscaler, or a verdict, reads Prometheus'),
  labels: textsByName('labels by which the Prometheus Operator picks monitors and rules up'),
  alerts: boolean('whether alarms are declared; by default in production'),
  dashboard: boolean('whether a Grafana dashboard is declared; by default in production'),
  dashboardLabels: textsByName("labels by which Grafana's sidecar picks the dashboard up"),
} satisfies FieldsOf<MonitoringOptions>);

const KUBERNETES = fields({
  namespace: text('namespace of every object; by default default'),
  createNamespace: boolean('whether the namespace is made too; by default false'),
  image: text('image of the server, best by digest: the line that slipway image push prints'),
  modelRepository: text('where the pods fetch the models: the URI that was given to slipway model publish'),
  clusterName: text('label cluster of the saturation signal; by default kubernetes'),
  identity: object(IDENTITY, 'identity by which replicas read their models'),
  placement: object(PLACEMENT, 'nodes that replicas may land on; by default any'),
  clientNamespaces: texts("namespaces whose pods may call the service; by default the service's own"),
  monitoringNamespace: text('namespace of the Prometheus that scrapes the pods; by default monitoring'),
  prometheusUrl: text('where KEDA asks for the saturation signal'),
  monitoring: object(MONITORING, 'what Prometheus and Grafana are told about the service'),
  imagePullSecrets: texts('names of secrets of the namespace that hold the login of a registry'),
  priorityClassName: text('priority class of the replicas'),
  kubernetesVersion: text("version of the cluster, as in '1.34': what is too new for it is refused"),
  wake: object(WAKE, 'what starts the first replica where minReplicas is 0; exactly one of them'),
  route: object(ROUTE, 'how requests come from outside the cluster; by default only from inside, to the Service'),
  canary: object(CANARY, 'a second set of replicas with other models, that takes a share of the requests of the route'),
  shadow: object(SHADOW, 'replicas with other models that are sent copies of requests'),
  engine: oneOf(ServingEngine, 'what makes the pods: a Deployment (the default), or KServe'),
} satisfies FieldsOf<KubernetesOptions & Record<'route' | 'canary' | 'shadow' | 'engine', unknown>>);

const DEPLOY = fields({
  stack: text('name of the stack; by default dev'),
  backend: text(
    'where the state lies, as pulumi login takes it; by default PULUMI_BACKEND_URL, or .slipway/pulumi here',
  ),
  secretsProvider: text('what encrypts secrets of the state; by default the passphrase'),
  kubeconfig: text('path of the kubeconfig, relative to this file; by default KUBECONFIG, or ~/.kube/config'),
  context: text('context of the kubeconfig: nothing is deployed to whatever happens to be the current one'),
});

export const SPEC_FILE = fields(
  {
    $schema: text('URL or path of the schema, for editors of JSON'),
    name: text('name of the service: 1 to 50 lower-case letters, digits and dashes, beginning with a letter'),
    models: list(MODEL, 'models that every replica serves'),
    preset: oneOf(Preset, 'production (the default): two replicas, alarms on; development: one replica, no alarms'),
    executionProvider: oneOf(ExecutionProvider, 'by default cuda where instanceTypes are named, else cpu'),
    capacity: oneOf(CapacityKind, 'where replicas run; by default by the other fields'),
    instanceTypes: texts('types of the machines that a replica may land on; it must fit each of them'),
    gpuCount: number('GPUs of one replica; by default 1 on a GPU provider'),
    vcpu: number('vCPUs of one replica'),
    memoryMiB: number('memory of one replica'),
    minReplicas: number('replicas kept running when idle; by default 2 in production, 1 in development'),
    maxReplicas: number('most replicas that the autoscaler may start; by default four times minReplicas'),
    targetSaturation: number('saturation that the autoscaler holds: 1 is a full replica; by default 0.7'),
    metricsFrom: oneOf(ScalingMetricsSource, 'where the autoscaler reads its signal; a GPU service must name one'),
    spareReplica: boolean('whether a rollout may start a new replica before it stops an old one; by default true'),
    startupBudgetSeconds: number("from container start to ready; by default from the models' bytes"),
    downloadMiBPerSecond: number('bandwidth from the model bucket to a replica; by default 50'),
    provisioningSeconds: number('seconds to bring a machine; by default 900 with a GPU, else 180'),
    requestDeadlineSeconds: number('longest time a request may take in a replica; by default 30'),
    deregistrationLagSeconds: number('how long requests may still come to a replica that goes away; by default 10'),
    stopTimeoutSeconds: number('between SIGTERM and SIGKILL; by default lag + deadline + 5'),
    idleTimeoutSeconds: number('idle timeout of the load balancer, 1 to 4000'),
    hooks: boolean('whether hooks that were published with models are run; by default false'),
    requireEvidence: boolean(
      'whether versions without a golden proof and a passed evaluation of their very files are refused; by default false',
    ),
    modelSigningKeys: text('public keys in PEM of which one must have signed each version; by default none has to'),
    queueDepthRows: number("rows one model may hold waiting before it answers 429; by default four batches' worth"),
    maxBodyMiB: number('largest request body; by default 64'),
    kubernetes: object(KUBERNETES, 'what is decided for a Kubernetes cluster alone'),
    deploy: object(DEPLOY, 'where slipway up deploys to, and where it keeps its state'),
  } satisfies FieldsOf<InferenceServiceSpec & Record<'$schema' | 'kubernetes' | 'deploy', unknown>>,
  ['name', 'models'],
);
