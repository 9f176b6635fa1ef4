#!/usr/bin/env bash
# Creates what azure.yaml needs in a subscription: a resource group, a network, and an NFS share that only this network
# can reach.
#
#   bash cluster_configs/azure_setup.sh ACCOUNT LOCATION
#
# ACCOUNT is the name of the new storage account: 3 to 24 small letters and digits.
# It needs the Azure command line, logged in as owner of the subscription. `az group delete --name raycal` undoes it and
# deletes the results.
#
# Cost: the share, 100 GB at 0.16 $ per GB and month (list price as known in 2025, check
#   https://azure.microsoft.com/pricing/details/storage/files/).
# Last run: never run by us.
set -euo pipefail
account=${1:?account} location=${2:?location}
# Ray uses an existing network if its name contains the unique_id of azure.yaml, and keeps the settings of its subnet.
network=ray-raycal-nfs1-vnet subnet=ray-raycal-nfs1-subnet

az group create --name raycal --location "$location" --output none
az network vnet create --resource-group raycal --name $network --address-prefixes 10.42.0.0/16 \
  --subnet-name $subnet --subnet-prefixes 10.42.0.0/16 --output none
az network vnet subnet update --resource-group raycal --vnet-name $network --name $subnet \
  --service-endpoints Microsoft.Storage --output none
# NFS does not encrypt, so the account must allow connections without HTTPS; only this network has access.
az storage account create --resource-group raycal --name "$account" --location "$location" --kind FileStorage \
  --sku Premium_LRS --https-only false --default-action Deny --allow-blob-public-access false --output none
az storage account network-rule add --resource-group raycal --account-name "$account" \
  --vnet-name $network --subnet $subnet --output none
az storage share-rm create --resource-group raycal --storage-account "$account" --name raycal --quota 100 \
  --enabled-protocols NFS --root-squash NoRootSquash --output none
echo "share $account.file.core.windows.net:/$account/raycal is there"
