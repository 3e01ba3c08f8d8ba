// Command hostpath-provisioner makes a directory on this machine for every claim of its storage classes.
//
// It runs outside the cluster, next to the kubelet whose disk it hands out, and works in its own process:
// provisioners that start a helper pod per volume add seconds to every first start of a pod. Claims with
// immediate binding and with WaitForFirstConsumer both work; block volumes, snapshots and growing a volume
// do not, and the requested size is not enforced (the directory shares the disk with everything else).
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// directories provisions one directory per volume, named after the volume, below root.
type directories struct {
	path string   // absolute path of root, as the kubelet sees it
	root *os.Root // every write goes through it, so that no name or symbolic link leads out of it
	node string   // the only node served; empty: every node sees path (the nodes of a simulated crowd)
}

func (d *directories) Provision(_ context.Context, o controller.ProvisionOptions) (*v1.PersistentVolume, controller.ProvisioningState, error) {
	if o.PVC.Spec.Selector != nil {
		return nil, controller.ProvisioningFinished, errors.New("claim selectors are not supported")
	}
	node := cmp.Or(o.SelectedNodeName, d.node)
	if d.node != "" && node != d.node {
		return nil, controller.ProvisioningReschedule, fmt.Errorf("no volumes on node %q: this provisioner serves %q", node, d.node)
	}
	// A directory that is there already was made for this very claim by an attempt that got interrupted.
	if err := d.root.Mkdir(o.PVName, 0o777); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, controller.ProvisioningFinished, err
	}
	// Pods of any user id may write, as the image's user is not known here. Chmod, as the umask cuts Mkdir's mode.
	if err := d.root.Chmod(o.PVName, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return d.volume(o, node), controller.ProvisioningFinished, nil
}

func (d *directories) volume(o controller.ProvisionOptions, node string) *v1.PersistentVolume {
	volume := &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			MountOptions:                  o.StorageClass.MountOptions,
			VolumeMode:                    o.PVC.Spec.VolumeMode,
			Capacity:                      v1.ResourceList{v1.ResourceStorage: o.PVC.Spec.Resources.Requests[v1.ResourceStorage]},
		},
	}
	path := filepath.Join(d.path, o.PVName)
	if node == "" {
		// Bound before a pod asks for it, in a crowd: any of its nodes will do, and none of them mounts anything.
		volume.Spec.HostPath = &v1.HostPathVolumeSource{Path: path}
		return volume
	}
	onNode := v1.NodeSelectorTerm{MatchExpressions: []v1.NodeSelectorRequirement{
		{Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{node}},
	}}
	volume.Spec.NodeAffinity = &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{onNode}}}
	volume.Spec.Local = &v1.LocalVolumeSource{Path: path}
	return volume
}

func (d *directories) Delete(_ context.Context, pv *v1.PersistentVolume) error {
	path := filepath.Join(d.path, pv.Name)
	isLocal := pv.Spec.Local != nil && pv.Spec.Local.Path == path
	isOfCrowd := pv.Spec.HostPath != nil && pv.Spec.HostPath.Path == path
	if !isLocal && !isOfCrowd {
		return &controller.IgnoredError{Reason: "the volume is not a directory of this provisioner"}
	}
	return d.root.RemoveAll(pv.Name)
}

func run() error {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig `file` to reach the cluster with")
	volumes := flag.String("volumes-dir", "", "`directory` that holds one directory per volume; made if missing")
	name := flag.String("provisioner-name", "devserver.io/hostpath", "`name` that storage classes select this provisioner by")
	node := flag.String("node-name", "", "serve claims of pods on this `node` only; empty: any node")
	klog.InitFlags(nil)
	flag.Parse()
	if *kubeconfig == "" || !filepath.IsAbs(*volumes) {
		return errors.New("--kubeconfig and an absolute --volumes-dir are required")
	}
	if err := os.MkdirAll(*volumes, 0o711); err != nil {
		return err
	}
	root, err := os.OpenRoot(*volumes)
	if err != nil {
		return err
	}
	client, err := connect(*kubeconfig)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	dirs := &directories{path: filepath.Clean(*volumes), root: root, node: *node}
	// What fails is tried again after a second (the library's default: fifteen) and never given up.
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Second, time.Minute)
	// The finalizer keeps a deleted volume object until its directory is gone, whoever deletes it first.
	controller.NewProvisionController(ctx, client, *name, dirs, controller.RateLimiter(limiter),
		controller.FailedProvisionThreshold(0), controller.FailedDeleteThreshold(0), controller.Threadiness(16),
		controller.LeaderElection(false), controller.AddFinalizer(true)).Run(ctx)
	return nil
}

func connect(kubeconfig string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 200, 400 // a crowd claims hundreds of volumes at once
	return kubernetes.NewForConfig(config)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "hostpath-provisioner:", err)
		os.Exit(1)
	}
}
